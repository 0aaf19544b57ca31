//! `bench`: one subcommand per question, a table for people, `--json` for machines.

use std::process::ExitCode;

use clap::Parser;
use heyun_tests::bench::{self, Args};

/// The hub's, so that the scheduler is measured as the hub runs it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bench::main(&Args::parse())
}
