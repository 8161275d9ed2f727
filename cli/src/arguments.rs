//! What may be asked on the command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bytes::Coding;
use crate::units::parse_size;

const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  not found, or the condition did not hold
    2  usage: arguments, a key or value beyond its limit, bad input of load
    3  the file is damaged, or holds no store
    4  the file is locked: somebody has it open
    5  full: --max-bytes is used up, or the disk
    6  input/output, and files that this version or machine cannot use
  130  ended by Ctrl-C or SIGTERM

A command opens the file, which reads all of it, and closes it again: use the library for many
operations. Reading commands share a file with each other; nobody may have it open for writing.";

/// Look into stores of Nyala in files, change, check, copy and compact them
#[derive(Debug, Parser)]
#[command(name = "nyala", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Arguments {
    /// Answer in JSON; errors too, on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the value of KEY to standard output, as it is; a newline follows on a terminal
    Get(Get),
    /// Write a value; the file is made if it is not there
    Set(Set),
    /// Remove entries
    Delete(Delete),
    /// List the entries whose keys begin with PREFIX, or all, in no useful order
    Scan(Scan),
    /// Tell how many entries there are and what takes the room
    Stats(Stats),
    /// Check every record of a file
    Verify(Verify),
    /// Copy what is whole of a damaged file to a new one
    ///
    /// Where a later record of a key is lost, an older value may come back, and what was deleted too: for when there is no
    /// backup.
    Salvage(Salvage),
    /// Reclaim the room of removed, overwritten and expired entries
    ///
    /// Ctrl-C ends it between two steps; what is done stays done.
    Compact(Compact),
    /// Write a checked copy to a new file
    Backup(Backup),
    /// Write every entry as a line of JSON
    ///
    /// A line is {"key":...,"value":...,"expires_at_ms":...}: bytes that are UTF-8 as a string, others as
    /// {"base64":"..."}; milliseconds since 1970, or null.
    Dump(Dump),
    /// Read the lines of a dump from standard input and set the entries
    ///
    /// Entries whose time has passed are left out. Not atomic: a bad line ends it, and what stands in front of it is loaded.
    Load(Load),
}

impl Command {
    /// The file that errors are about.
    pub(crate) fn file(&self) -> &Path {
        match self {
            Command::Get(Get { file, .. })
            | Command::Set(Set { file, .. })
            | Command::Delete(Delete { file, .. })
            | Command::Scan(Scan { file, .. })
            | Command::Stats(Stats { file, .. })
            | Command::Verify(Verify { file })
            | Command::Salvage(Salvage { from: file, .. })
            | Command::Compact(Compact { file, .. })
            | Command::Backup(Backup { file, .. })
            | Command::Dump(Dump { file, .. })
            | Command::Load(Load { file, .. }) => file,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    pub(crate) file: PathBuf,
    #[arg(allow_negative_numbers = true)]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) coding: CodingArguments,
    #[command(flatten)]
    pub(crate) cap: Cap,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    pub(crate) file: PathBuf,
    #[arg(allow_negative_numbers = true)]
    pub(crate) key: String,
    /// The value; - reads it from standard input as it is
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: String,
    /// Let the entry expire after this long, to the millisecond
    #[arg(long, value_name = "SECONDS", value_parser = parse_ttl, allow_negative_numbers = true)]
    pub(crate) ttl: Option<Duration>,
    /// Only if the key has no value; else exit with 1
    #[arg(long)]
    pub(crate) if_absent: bool,
    #[command(flatten)]
    pub(crate) coding: CodingArguments,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    pub(crate) file: PathBuf,
    #[arg(required = true, value_name = "KEY", allow_negative_numbers = true)]
    pub(crate) keys: Vec<String>,
    #[command(flatten)]
    pub(crate) coding: CodingArguments,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, Args)]
pub(crate) struct Scan {
    pub(crate) file: PathBuf,
    #[arg(default_value = "", hide_default_value = true, allow_negative_numbers = true)]
    pub(crate) prefix: String,
    /// Keys only
    #[arg(long)]
    pub(crate) keys: bool,
    /// At most so many entries
    #[arg(long, value_name = "N", value_parser = parse_limit, allow_negative_numbers = true)]
    pub(crate) limit: Option<u64>,
    #[command(flatten)]
    pub(crate) coding: CodingArguments,
    #[command(flatten)]
    pub(crate) cap: Cap,
}

#[derive(Debug, Args)]
pub(crate) struct Stats {
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) cap: Cap,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Salvage {
    pub(crate) from: PathBuf,
    /// The new file; nothing may be there yet
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Compact {
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    pub(crate) file: PathBuf,
    /// The new file; nothing may be there yet
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) cap: Cap,
}

#[derive(Debug, Args)]
pub(crate) struct Dump {
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) cap: Cap,
}

#[derive(Debug, Args)]
pub(crate) struct Load {
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

/// How keys and values stand on the command line and in the output.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct CodingArguments {
    /// Keys and values are written in hexadecimal, instead of UTF-8
    #[arg(long, conflicts_with = "base64")]
    hex: bool,
    /// Keys and values are written in base64, instead of UTF-8
    #[arg(long)]
    base64: bool,
}

impl CodingArguments {
    pub(crate) fn coding(self) -> Coding {
        match (self.hex, self.base64) {
            (true, _) => Coding::Hex,
            (_, true) => Coding::Base64,
            _ => Coding::Text,
        }
    }
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Cap {
    /// Cap of the file, as in 64MiB or 4GiB, 4 MiB to 4 TiB; 256 GiB without it, or what the file has if that is more
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Writing {
    #[command(flatten)]
    pub(crate) cap: Cap,
    /// What a write survives before the next one: the death of the process, or a power cut
    #[arg(long, value_enum, default_value_t = Durability::Process)]
    pub(crate) durability: Durability,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    /// The death of the process; closing syncs
    Process,
    /// A power cut
    Sync,
}

fn parse_limit(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("not a whole number from 0 to {}", u64::MAX))
}

fn parse_ttl(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    // An f64 is exact to the millisecond up to here, and a lifetime of 100,000 years is none.
    const MOST: f64 = 1e12;
    if !(0.001..=MOST).contains(&seconds) {
        return Err(format!("outside 0.001 to {MOST} seconds"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn limits_are_whole_numbers() {
        assert_eq!(parse_limit("0"), Ok(0));
        for text in ["-1", "1.5", "", "18446744073709551616"] {
            assert!(parse_limit(text).unwrap_err().contains("to 18446744073709551615"), "{text}");
        }
    }

    #[test]
    fn lifetimes_have_limits() {
        assert_eq!(parse_ttl("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_ttl("0.001"), Ok(Duration::from_millis(1)));
        for text in ["0", "-1", "NaN", "inf", "1e13", "soon", ""] {
            assert!(parse_ttl(text).is_err(), "{text}");
        }
    }
}
