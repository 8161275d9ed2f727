//! What a request does: its command is looked up, its number of arguments checked, and the answer written.

mod connection;
mod counter;
mod introspection;
mod keyspace;
mod lifetime;
mod server;
mod string;
mod table;

use std::borrow::Cow;
use std::fmt::Write as _;

use nyala::{Error, Store};

use crate::clock;
use crate::parser::Place;
use crate::reply::Replies;
use crate::session::Session;
use crate::shared::Shared;

pub(crate) use string::{get_batch, set_batch};
pub(crate) use table::{Batch, Spec, lookup};

/// Bytes of a client's text that an error repeats.
const QUOTED: usize = 128;

/// The arguments of a request, the command's name first.
#[derive(Clone, Copy)]
pub(crate) struct Args<'a> {
    bytes: &'a [u8],
    places: &'a [Place],
}

impl<'a> Args<'a> {
    pub(crate) fn new(bytes: &'a [u8], places: &'a [Place]) -> Args<'a> {
        Args { bytes, places }
    }

    pub(crate) fn len(self) -> usize {
        self.places.len()
    }

    /// An argument that the command's arity promises.
    pub(crate) fn at(self, index: usize) -> &'a [u8] {
        let (begin, end) = self.places[index];
        &self.bytes[begin..end]
    }

    /// All arguments from one on.
    pub(crate) fn from(self, index: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        let places = self.places.get(index..).unwrap_or_default();
        places.iter().map(move |(begin, end)| &bytes[*begin..*end])
    }
}

/// A request with everything that it may touch.
pub(crate) struct Call<'a> {
    pub(crate) args: Args<'a>,
    pub(crate) shared: &'a Shared,
    pub(crate) session: &'a mut Session,
    pub(crate) replies: &'a mut Replies,
}

impl Call<'_> {
    fn store(&self) -> &Store {
        &self.shared.store
    }
}

/// Why a request was refused, in Redis's words where it has any: clients read them.
#[derive(Debug)]
pub(crate) struct Refusal(Cow<'static, str>);

pub(crate) type Outcome = Result<(), Refusal>;

const SYNTAX: Refusal = Refusal(Cow::Borrowed("ERR syntax error"));
const NOT_AN_INTEGER: Refusal =
    Refusal(Cow::Borrowed("ERR value is not an integer or out of range"));

impl Refusal {
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl From<String> for Refusal {
    fn from(text: String) -> Refusal {
        Refusal(Cow::Owned(text))
    }
}

impl From<&'static str> for Refusal {
    fn from(text: &'static str) -> Refusal {
        Refusal(Cow::Borrowed(text))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        match error {
            Error::Full { .. } => {
                Refusal::from("OOM command not allowed when used memory > 'maxmemory'.")
            }
            Error::NotANumber { .. } => NOT_AN_INTEGER,
            Error::Overflow { .. } => Refusal::from("ERR increment or decrement would overflow"),
            Error::ValueTooLarge { .. } => {
                Refusal::from("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
            }
            other => Refusal::from(format!("ERR {other}")),
        }
    }
}

/// A key that the store cannot hold is one that is not there: for commands that do not create it.
fn found<T: Default>(result: nyala::Result<T>) -> nyala::Result<T> {
    match result {
        Err(Error::KeyTooLarge { .. } | Error::InvalidArgument(_)) => Ok(T::default()),
        other => other,
    }
}

/// Runs one request and writes its reply.
pub(crate) fn run(spec: Option<&Spec>, call: &mut Call<'_>) {
    clock::begin_command();
    let begin = call.replies.len();
    let outcome = match spec {
        None => Err(unknown(call.args)),
        Some(spec) if !spec.admits(call.args.len()) => Err(wrong_number(spec.name)),
        Some(spec) => (spec.run)(call),
    };
    if let Err(refusal) = outcome {
        call.replies.truncate(begin);
        call.replies.error(refusal.text());
    }
}

fn unknown(args: Args<'_>) -> Refusal {
    let mut text =
        format!("ERR unknown command '{}', with args beginning with: ", quoted(args.at(0)));
    for arg in args.from(1) {
        if text.len() >= QUOTED {
            break;
        }
        let _ = write!(text, "'{}' ", quoted(arg));
    }
    Refusal::from(text)
}

fn wrong_number(command: &str) -> Refusal {
    Refusal::from(format!("ERR wrong number of arguments for '{command}' command"))
}

fn unknown_subcommand(args: Args<'_>) -> Refusal {
    let (command, subcommand) = (quoted(args.at(0)).to_uppercase(), quoted(args.at(1)));
    Refusal::from(format!("ERR unknown subcommand '{subcommand}'. Try {command} HELP."))
}

/// The beginning of what a client sent, as text.
fn quoted(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTED)])
}

/// Whether an argument is this word, in any case.
fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}
