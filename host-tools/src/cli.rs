//! The command line: which command there is, and how a failed one ends.
//!
//! Exit status 0: done. 1: it could not be done, and the last line on standard error says why.
//! 2: the command line makes no sense.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{key_new, key_show, publish, request_roll_back, request_show, serve};
use crate::error::Error;
use crate::{doctor, factory, image};

/// Keys, images, factory files, serving and diagnosis for devices that run Bistable.
#[derive(Parser)]
#[command(name = "bistable", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make and show keys.
    #[command(subcommand)]
    Key(Key),
    /// Build, sign, inspect and verify images.
    #[command(subcommand)]
    Image(image::Command),
    /// Make what a new device is flashed with.
    #[command(subcommand)]
    Factory(factory::Command),
    /// Make and show signed requests to units.
    #[command(subcommand)]
    Request(Request),
    Publish(publish::Arguments),
    Serve(serve::Arguments),
    Doctor(doctor::Arguments),
}

#[derive(Subcommand)]
enum Key {
    New(key_new::Arguments),
    Show(key_show::Arguments),
}

#[derive(Subcommand)]
enum Request {
    RollBack(request_roll_back::Arguments),
    Show(request_show::Arguments),
}

/// Runs the command of this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<(), Error> {
    match command {
        Command::Key(Key::New(arguments)) => key_new::run(arguments),
        Command::Key(Key::Show(arguments)) => key_show::run(arguments),
        Command::Image(command) => image::run(command),
        Command::Factory(command) => factory::run(command),
        Command::Request(Request::RollBack(arguments)) => request_roll_back::run(arguments),
        Command::Request(Request::Show(arguments)) => request_show::run(arguments),
        Command::Publish(arguments) => publish::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
    }
}
