//! The command line.

use std::ffi::OsString;
use std::io::Write;
use std::net::IpAddr;
use std::process::ExitCode;
use std::str::FromStr;

use lexopt::ValueExt;
use lexopt::prelude::{Long, Short};

use crate::number;
use crate::server::Server;
use crate::shared::Settings;

/// Exit codes: something failed, or the caller gave wrong arguments.
const FAILED: u8 = 1;
const WRONG_ARGUMENTS: u8 = 2;

const MAX_THREADS: usize = 64;
/// Room for the shortest replies, and for a request's arguments.
const MIN_BUFFER: u64 = 64 << 10;

const HELP: &str = "\
Serves a Nyala store by the Redis protocol, to programs on this machine only.

nyala-resp [OPTIONS]
  --port N             TCP port, 0 for a free one (6380)
  --bind ADDRESS       loopback address to listen on (127.0.0.1)
  --unix PATH          listen on a Unix socket, too
  --memory SIZE        cap of the store: keys, values and index together (256m)
  --evict              make room when the store is full; else writes are refused
  --threads N          event loops, each a thread (1)
  --max-connections N  clients at a time (10000)
  --max-args N         arguments of a request (1048576)
  --query-buffer SIZE  longest request; at least the longest value, a quarter of --memory (64m)
  --output-buffer SIZE replies that may wait for a client (256m)
  --help               this text

SIZE is a number of bytes, or of k, m or g. Ends with SIGINT or SIGTERM; nothing is kept.
";

pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let settings = match parse(arguments) {
        Ok(Some(settings)) => settings,
        Ok(None) => return say(HELP),
        Err(error) => {
            eprintln!("nyala-resp: {error}\nTry `nyala-resp --help`.");
            return ExitCode::from(WRONG_ARGUMENTS);
        }
    };
    let served = Server::bind(settings).and_then(|server| {
        say(&format!("nyala-resp listens on {}\n", server.addresses().join(" and ")));
        server.run()
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("nyala-resp: {fault}");
            ExitCode::from(FAILED)
        }
    }
}

fn say(text: &str) -> ExitCode {
    let mut out = std::io::stdout();
    // Nobody needs to listen.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    ExitCode::SUCCESS
}

/// The settings; `None` if help is asked for.
fn parse(args: impl Iterator<Item = OsString>) -> Result<Option<Settings>, lexopt::Error> {
    let mut settings = Settings::default();
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("port") => settings.port = number(parser.value()?, "--port", 0, u16::MAX)?,
            Long("bind") => {
                settings.bind = parser.value()?.parse_with(|text| {
                    let address = IpAddr::from_str(text).ok().filter(IpAddr::is_loopback);
                    address.ok_or("--bind takes a loopback address only: there are no passwords")
                })?;
            }
            Long("unix") => settings.unix = Some(parser.value()?.into()),
            Long("memory") => {
                let most = nyala::MAX_MAX_BYTES;
                settings.memory = size(parser.value()?, "--memory", nyala::MIN_MAX_BYTES, most)?;
            }
            Long("evict") => settings.evict = true,
            Long("threads") => {
                settings.threads = number(parser.value()?, "--threads", 1, MAX_THREADS)?;
            }
            Long("max-connections") => {
                let (option, most) = ("--max-connections", 1 << 20);
                settings.max_connections = number(parser.value()?, option, 1, most)?;
            }
            Long("max-args") => {
                settings.max_args = number(parser.value()?, "--max-args", 3, 1 << 24)?;
            }
            Long("query-buffer") => {
                settings.query_buffer = buffer(parser.value()?, "--query-buffer")?;
            }
            Long("output-buffer") => {
                settings.output_buffer = buffer(parser.value()?, "--output-buffer")?;
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(settings))
}

fn number<T>(value: OsString, option: &str, least: T, most: T) -> Result<T, lexopt::Error>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    value.parse_with(|text| {
        let number = T::from_str(text).ok().filter(|number| (&least..=&most).contains(&number));
        number.ok_or(format!("{option} takes a number within {least} and {most}"))
    })
}

fn size(value: OsString, option: &str, least: u64, most: u64) -> Result<u64, lexopt::Error> {
    value.parse_with(|text| {
        let size = number::size(text).filter(|size| (least..=most).contains(size));
        size.ok_or(format!("{option} takes a size within {least} and {most} bytes"))
    })
}

fn buffer(value: OsString, option: &str) -> Result<usize, lexopt::Error> {
    let bytes = size(value, option, MIN_BUFFER, u64::from(u32::MAX))?;
    Ok(usize::try_from(bytes).expect("below 4 GiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Settings>, lexopt::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options() {
        let line = "--port 0 --memory 2m --evict --threads=2 --query-buffer 1m --bind ::1";
        let settings = parsed(line).expect("valid").expect("no help");
        assert_eq!((settings.port, settings.memory, settings.evict), (0, 2 << 20, true));
        assert_eq!((settings.threads, settings.query_buffer), (2, 1 << 20));
        assert!(parsed("--port 1 --help").expect("valid").is_none());
    }

    #[test]
    fn what_is_refused() {
        let lines = [
            "--bind 0.0.0.0",
            "--bind 192.168.1.1",
            "--bind localhost",
            "--port 65536",
            "--threads 0",
            "--memory 1k",
            "--output-buffer 8g",
            "--max-args 2",
            "--nonsense",
            "file",
        ];
        for line in lines {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
