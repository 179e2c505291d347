//! The command line: which command there is, and how a failed one ends.
//!
//! Exit status 0: done. 1: it could not be done, and the last line on standard error says why.
//! 2: the command line makes no sense.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands::{
    completions, devices, explain, key_add, key_export, key_new, key_show, key_sign, key_threshold,
    man, publish, receipt_audit, receipt_challenge, receipt_verify, request_roll_back,
    request_show, schema, serve, store_affected,
};
use crate::error::Error;
use crate::output::Output;
use crate::{doctor, factory, image, new, run};

/// Keys, images, factory files, serving and diagnosis for devices that run Bistable.
#[derive(Parser)]
#[command(name = "bistable", version)]
struct Cli {
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make, show and list keys, and sign with them.
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
    /// Ask for receipts of units, and verify them.
    #[command(subcommand)]
    Receipt(Receipt),
    /// Ask a store of images.
    #[command(subcommand)]
    Store(Store),
    New(new::Arguments),
    Run(run::Arguments),
    Publish(publish::Arguments),
    Serve(serve::Arguments),
    Devices(devices::Arguments),
    Doctor(doctor::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
    Explain(explain::Arguments),
}

#[derive(Subcommand)]
enum Key {
    New(key_new::Arguments),
    Add(key_add::Arguments),
    Threshold(key_threshold::Arguments),
    Show(key_show::Arguments),
    Export(key_export::Arguments),
    Sign(key_sign::Arguments),
}

#[derive(Subcommand)]
enum Request {
    RollBack(request_roll_back::Arguments),
    Show(request_show::Arguments),
}

#[derive(Subcommand)]
enum Receipt {
    Audit(receipt_audit::Arguments),
    Challenge(receipt_challenge::Arguments),
    Verify(receipt_verify::Arguments),
}

#[derive(Subcommand)]
enum Store {
    Affected(store_affected::Arguments),
}

/// Runs the command of this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    match execute(&cli.command, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.fail(&error);
            ExitCode::FAILURE
        }
    }
}

/// All commands with their arguments, for shell completions, manual pages and tests.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

fn execute(command: &Command, output: &Output) -> Result<(), Error> {
    match command {
        Command::Key(Key::Export(arguments)) => key_export::run(arguments, output),
        Command::Key(Key::New(arguments)) => key_new::run(arguments, output),
        Command::Key(Key::Add(arguments)) => key_add::run(arguments, output),
        Command::Key(Key::Threshold(arguments)) => key_threshold::run(arguments, output),
        Command::Key(Key::Show(arguments)) => key_show::run(arguments, output),
        Command::Key(Key::Sign(arguments)) => key_sign::run(arguments, output),
        Command::Image(command) => image::run(command, output),
        Command::Factory(command) => factory::run(command, output),
        Command::Request(Request::RollBack(arguments)) => request_roll_back::run(arguments, output),
        Command::Request(Request::Show(arguments)) => request_show::run(arguments, output),
        Command::Receipt(Receipt::Audit(arguments)) => receipt_audit::run(arguments, output),
        Command::Receipt(Receipt::Challenge(arguments)) => {
            receipt_challenge::run(arguments, output)
        }
        Command::Receipt(Receipt::Verify(arguments)) => receipt_verify::run(arguments, output),
        Command::Store(Store::Affected(arguments)) => store_affected::run(arguments, output),
        Command::New(arguments) => new::run(arguments, output),
        Command::Run(arguments) => run::run(arguments, output),
        Command::Publish(arguments) => publish::run(arguments, output),
        Command::Serve(arguments) => serve::run(arguments, output),
        Command::Devices(arguments) => devices::run(arguments, output),
        Command::Doctor(arguments) => doctor::run(arguments, output),
        Command::Schema(arguments) => schema::run(arguments, output),
        Command::Completions(arguments) => completions::run(arguments, output),
        Command::Man(arguments) => man::run(arguments, output),
        Command::Explain(arguments) => explain::run(arguments, output),
    }
}
