//! `bench`: one subcommand per question, a table for people, `--json` for machines.

use std::process::ExitCode;

use clap::Parser;
use heyun_tests::bench::{self, Args};

fn main() -> ExitCode {
    bench::main(&Args::parse())
}
