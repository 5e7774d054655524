//! The command line: `dev` (also without a subcommand), `serve`, `check-config`, `tail`,
//! `schema`.
//!
//! * `dev`: runs a server on an embedded broker with sample events.
//! * `serve`: runs a server with the operator's file.
//! * `check_config`: shows how a file is understood; `config_report` writes the report.
//! * `tail`: reads streams of a server, for people.
//! * `schema`: judges events by their schemas.
//! * `config_file`: the operator's file with everything that is wrong with it.
//! * `overrides`: options that override the configuration.
//! * `error`: why a command fails, and its exit code.

mod check_config;
mod config_file;
pub mod config_report;
pub mod dev;
mod error;
mod overrides;
mod schema;
mod serve;
mod tail;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use self::check_config::CheckConfigArgs;
use self::error::CliError;
use self::schema::SchemaArgs;
use self::serve::ServeArgs;
use self::tail::TailArgs;
use crate::telemetry::logs;

/// Public event streams: Kafka topics to Server-Sent Events.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    dev: dev::DevArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve sample events from an embedded Kafka broker, for a first look and for development.
    Dev(dev::DevArgs),
    /// Serve the streams of a configuration file.
    Serve(ServeArgs),
    /// Show how a configuration file is understood, or what is wrong with it and where.
    CheckConfig(CheckConfigArgs),
    /// Read streams of a server: one line for each event, again after each cut where it stopped.
    Tail(TailArgs),
    /// Check events by their JSON Schemas.
    Schema(SchemaArgs),
}

/// Runs the command.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match run_command(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logs::fatal(&error.describe());
            ExitCode::from(error.exit_code())
        }
    }
}

fn run_command(cli: Cli) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    let result = runtime.block_on(async {
        match cli.command {
            None => dev::run(cli.dev).await,
            Some(Command::Dev(args)) => dev::run(args).await,
            Some(Command::Serve(args)) => serve::run(&args).await,
            Some(Command::CheckConfig(args)) => check_config::run(&args).await,
            Some(Command::Tail(args)) => tail::run(&args).await,
            Some(Command::Schema(args)) => schema::run(&args).await,
        }
    });
    // Do not wait for what is left of the runtime, such as a look-up that Kafka never answers.
    runtime.shutdown_background();
    result
}
