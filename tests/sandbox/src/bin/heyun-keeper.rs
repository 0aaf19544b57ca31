//! Owns the processes of a fleet; started by the sandbox, not by people.

use std::process::ExitCode;

fn main() -> ExitCode {
    heyun_sandbox::keeper_main(std::env::args_os().skip(1))
}
