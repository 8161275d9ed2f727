//! Measures Nyala beside other key-value stores on the same work, and makes a report that a sceptical reader can check.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program talks to its terminal"
)]
#![allow(
    clippy::cast_possible_truncation,
    reason = "sizes and positions of a 64-bit machine; entries fit in 32 bits by their type"
)]

mod calibrate;
mod cells;
mod cli;
mod engines;
mod experiments;
mod fault;
mod files;
mod measure;
mod profile;
mod record;
mod report;
mod workloads;

use std::process::ExitCode;

fn main() -> ExitCode {
    // The server that stands beside Redis is this program, too.
    match engines::resp_server::asked_to_serve() {
        Some(arguments) => nyala_resp::main(arguments),
        None => cli::main(),
    }
}
