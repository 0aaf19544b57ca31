//! Owns the processes of a fleet; started by the sandbox, not by people.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The word stands where an executable that embeds the keeper has its subcommand.
    heyun_sandbox::keeper_main(
        std::env::args_os()
            .skip(1)
            .skip_while(|arg| arg == "keeper"),
    )
}
