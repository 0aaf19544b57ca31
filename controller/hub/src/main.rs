//! `heyun-hub`: see `heyun-hub --help`.

use std::process::ExitCode;

use clap::Parser;
use heyun_hub::args::Args;

/// A decision makes and drops thousands of small objects: a third of the hub's time went into
/// glibc's allocator, and memory that it did not give back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    heyun_hub::run::main(Args::parse())
}
