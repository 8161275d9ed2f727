//! A small server that speaks the Redis protocol over a Nyala store: an example of embedding one.
//!
//! Requests come in through `event_loop`, `connection` and `parser`; `pipeline` hands them to `commands`, which call the
//! store's public interface and write `reply`s.
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

fn main() -> std::process::ExitCode {
    cli::main()
}
