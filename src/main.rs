//! `eventstreams`: parse, match, exit code. See [`eventstreams::cli`].

use std::process::ExitCode;

use clap::Parser as _;
use eventstreams::cli::{Cli, run};

fn main() -> ExitCode {
    run(Cli::parse())
}
