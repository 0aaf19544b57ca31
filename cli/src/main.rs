//! `heyun`, and `kubectl heyun`: see `heyun --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    heyun::run::main(std::env::args_os())
}
