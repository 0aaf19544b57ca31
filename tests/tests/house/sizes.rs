//! Sizes: a file says one thing.

use std::path::{Path, PathBuf};

/// Most lines of a file outside tests.
const FILE_MAX: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace")
        .to_path_buf()
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a folder of ours") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default()
            .to_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                sources(&path, out);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn is_test(path: &Path) -> bool {
    let text = path
        .strip_prefix(root())
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned();
    text.starts_with("tests/tests/") || text.contains("/tests/") || text.ends_with("tests.rs")
}

#[test]
fn no_file_outside_tests_is_longer_than_800_lines() {
    let mut files = Vec::new();
    sources(&root(), &mut files);
    assert!(files.len() > 50, "only {} files were found", files.len());
    for file in files.iter().filter(|f| !is_test(f)) {
        let text = std::fs::read_to_string(file).expect("UTF-8");
        // Unit tests at the end of a file are tests.
        let code = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        let lines = code.lines().count();
        assert!(
            lines <= FILE_MAX,
            "{} has {lines} lines: split it",
            file.display()
        );
    }
}

#[test]
fn nothing_names_a_machine_or_a_way_of_working() {
    // In parts, so that this file does not contain what it looks for.
    let banned = [
        concat!("/wo", "rk/"),
        concat!("farm", "-bench"),
        concat!("farm", "-studio"),
    ];
    let mut files = Vec::new();
    sources(&root(), &mut files);
    for name in [
        "README.md",
        "CONTRIBUTING.md",
        "Cargo.toml",
        "deny.toml",
        ".ci/run",
    ] {
        files.push(root().join(name));
    }
    for file in files.iter().filter(|f| f.exists()) {
        let text = std::fs::read_to_string(file).expect("UTF-8");
        for word in banned {
            assert!(!text.contains(word), "{} contains {word}", file.display());
        }
    }
}
