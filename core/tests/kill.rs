//! Processes that write to a store in a file and are killed: nothing that was acknowledged is lost, and nothing that was
//! deleted comes back. The long form is `cargo run --release -p nyala --example torture -- kills`.
#![forbid(unsafe_code)]

mod common;
#[path = "kill/mod.rs"]
mod kill;

use std::process::ExitCode;

/// Children of each file: every shape and level has one.
const ROUNDS: u64 = 25;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    let done = match first.as_deref() {
        Some(kill::CHILD) => kill::child::run(arguments),
        // What asks a test program what tests it has.
        Some("--list") => Ok(()),
        _ => parent(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("{what}");
            ExitCode::FAILURE
        }
    }
}

fn parent() -> Result<(), String> {
    let folder = std::env::temp_dir().join(format!("nyala-kill-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let totals = kill::parent::run(&folder, 1, ROUNDS, 1, |_, _, _| ())?;
    let _ = std::fs::remove_dir_all(&folder);
    eprintln!(
        "{} processes killed, {} of them while opening; {} operations acknowledged, {} under way; of {} frames under way {} \
         were done; nothing lost",
        totals.kills,
        totals.while_opening,
        totals.acknowledged,
        totals.under_way,
        totals.frames,
        totals.whole_frames
    );
    Ok(())
}
