//! `nyala`: the command line of stores in files.
//!
//! `arguments` says what may be asked, `entries`, `files` and `transfer` do it, `failure` says what went wrong and with which
//! exit code.
#![forbid(unsafe_code)]

mod arguments;
mod bytes;
mod entries;
mod entry;
mod failure;
mod files;
mod interrupt;
mod moment;
mod opening;
mod output;
mod progress;
mod transfer;
mod units;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use failure::{Failure, Result};
use output::Output;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(refused) => return refuse(&refused),
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let failure = failure.in_file(arguments.command.file());
            failure.tell(arguments.json);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Tells what is wrong with the arguments, or what they ask for: help, the version.
fn refuse(refused: &clap::Error) -> ExitCode {
    let asks_for_json =
        std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
    if !(refused.use_stderr() && asks_for_json) {
        refused.exit();
    }
    let text = refused.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    // What is wrong; then come usage and hints, for people.
    let what = text.split("\n\n").next().unwrap_or(text);
    let failure = Failure::Usage(what.to_owned());
    failure.tell(true);
    ExitCode::from(failure.exit_code())
}

fn run(arguments: &Arguments) -> Result<()> {
    let mut output = Output::new(arguments.json);
    match &arguments.command {
        Command::Get(get) => entries::get(get, &mut output),
        Command::Set(set) => entries::set(set, &mut output),
        Command::Delete(delete) => entries::delete(delete, &mut output),
        Command::Scan(scan) => entries::scan(scan, &mut output),
        Command::Stats(stats) => files::stats(stats, &mut output),
        Command::Verify(verify) => files::verify(verify, &mut output),
        Command::Salvage(salvage) => files::salvage(salvage, &mut output),
        Command::Compact(compact) => files::compact(compact, &mut output),
        Command::Backup(backup) => files::backup(backup, &mut output),
        Command::Dump(dump) => transfer::dump(dump, &mut output),
        Command::Load(load) => transfer::load(load, &mut output),
    }?;
    output.flush()
}
