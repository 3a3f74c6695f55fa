//! The Baton command: parse arguments, run one command, print the error chain.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    baton::cli::run(baton::cli::Arguments::parse())
}
