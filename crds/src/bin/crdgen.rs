//! Writes what is generated from the API types: `crdgen [WORKSPACE]`, the current folder by default.

use std::path::PathBuf;
use std::process::ExitCode;

#[expect(
    clippy::disallowed_methods,
    reason = "a generator writes files; the library does not"
)]
fn main() -> ExitCode {
    let root = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("."), PathBuf::from);
    if !root.join("crds/Cargo.toml").is_file() {
        eprintln!(
            "crdgen: {} is not the workspace: run `{}` in its root",
            root.display(),
            heyun_crds::generate::COMMAND
        );
        return ExitCode::FAILURE;
    }
    for (path, content) in heyun_crds::generate::all() {
        let file = root.join(path);
        let written = file
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&file, content));
        if let Err(e) = written {
            eprintln!("crdgen: cannot write {}: {e}", file.display());
            return ExitCode::FAILURE;
        }
        println!("{}", file.display());
    }
    ExitCode::SUCCESS
}
