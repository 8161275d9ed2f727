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
use failure::Result;
use output::Output;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let failure = failure.in_file(arguments.command.file());
            failure.tell(arguments.json);
            ExitCode::from(failure.exit_code())
        }
    }
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
