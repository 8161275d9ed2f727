//! A small server that speaks the Redis protocol over a Nyala store: an example of embedding one.
//!
//! Requests come in through `event_loop`, `connection` and `parser`; `pipeline` hands them to `commands`, which call the
//! store's public interface and write `reply`s. The program is this library's [`main`], so that another program can be the
//! server, too, in a process of its own.
#![forbid(unsafe_code)]

mod acceptor;
mod cli;
mod clock;
mod commands;
mod connection;
mod event_loop;
mod glob;
mod inline;
mod listener;
mod number;
mod parser;
mod pipeline;
mod reply;
mod server;
mod session;
mod shared;
mod stream;

use std::ffi::OsString;
use std::process::ExitCode;

/// Serves as the program `nyala-resp` does with these arguments, its name left out, until SIGINT or SIGTERM: takes over both
/// signals, prints where it listens as one line, and reports faults on standard error with exit code 1, wrong arguments with 2.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    cli::main(arguments)
}
