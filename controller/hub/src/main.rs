//! `heyun-hub`: see `heyun-hub --help`.

use std::process::ExitCode;

use clap::Parser;
use heyun_hub::args::Args;

fn main() -> ExitCode {
    heyun_hub::run::main(Args::parse())
}
