//! `cargo demo`: the main job on a fleet of real control planes.

use std::process::ExitCode;

use clap::Parser;
use heyun_tests::demo::{self, Args};

fn main() -> ExitCode {
    demo::main(Args::parse())
}
