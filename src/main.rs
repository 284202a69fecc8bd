//! Parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis::cli::run::main()
}
