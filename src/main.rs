//! Parse, run, exit code.

use std::process::ExitCode;

/// Gives back what a crowd of sessions held when they are gone; the system's allocator keeps it
/// (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portcullis::cli::run::main()
}
