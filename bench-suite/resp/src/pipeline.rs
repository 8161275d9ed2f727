//! Runs the requests of an input one after another. Reads of single keys that follow one another go to the store
//! together, and so do plain writes.

use std::sync::atomic::Ordering;

use crate::clock;
use crate::commands::{self, Args, Batch, Call, Spec};
use crate::parser::{Found, Parser};
use crate::reply::Replies;
use crate::session::Session;
use crate::shared::Shared;

/// Bytes of replies after which they are sent before more requests are run: enough for one write to be worth it, few
/// enough to stay in the processor's cache.
const SEND_AT: usize = 64 << 10;
/// Requests that go to the store together: as many as it looks up at once.
const BATCH: usize = 32;

/// What became of an input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes of the requests that were run.
    pub(crate) consumed: usize,
    /// Whether replies must be sent before the rest is looked at.
    pub(crate) paused: bool,
}

/// Requests that wait to be run together; those of one kind at a time.
#[derive(Default)]
struct Waiting<'i> {
    gets: Vec<&'i [u8]>,
    sets: Vec<(&'i [u8], &'i [u8])>,
}

impl Waiting<'_> {
    fn run(&mut self, shared: &Shared, replies: &mut Replies) {
        if !self.gets.is_empty() {
            commands::get_batch(shared, replies, &self.gets);
            self.gets.clear();
        }
        if !self.sets.is_empty() {
            commands::set_batch(shared, replies, &self.sets);
            self.sets.clear();
        }
    }

    fn is_full(&self) -> bool {
        self.gets.len() == BATCH || self.sets.len() == BATCH
    }
}

/// Runs the whole requests at the start of `input`.
pub(crate) fn execute(
    input: &[u8],
    parser: &mut Parser,
    session: &mut Session,
    shared: &Shared,
    replies: &mut Replies,
) -> Progress {
    replies.protocol = session.protocol;
    let mut waiting = Waiting::default();
    let (mut consumed, mut count, mut paused) = (0, 0, false);
    let mut spec = None;
    while !session.closing && !paused {
        let rest = &input[consumed..];
        let (len, args) = match parser.next(rest) {
            Ok(Found::Partial) => break,
            Ok(Found::Request(len)) => (len, Args::new(&rest[..len], parser.args())),
            Ok(Found::Line(len)) => (len, Args::new(parser.line(), parser.args())),
            Err(error) => {
                waiting.run(shared, replies);
                replies.error(&error.to_string());
                session.closing = true;
                break;
            }
        };
        consumed += len;
        if args.len() == 0 {
            continue;
        }
        count += 1;
        // Most pipelines repeat one command.
        if !spec.is_some_and(|spec: &Spec| spec.is_called(args.at(0))) {
            spec = commands::lookup(args.at(0));
        }
        // The last request of an input has none to be run with, unless some wait. The arguments of a line lie elsewhere.
        let more = consumed < input.len() || !waiting.gets.is_empty() || !waiting.sets.is_empty();
        let batch = spec.map_or(Batch::Never, |spec| spec.batch);
        let in_input = |place: usize| parser.args().get(place).map(|(from, to)| &rest[*from..*to]);
        match (batch, args.len()) {
            (Batch::Gets, 2) if more && rest[0] == b'*' && shared.can_hold(args.at(1)) => {
                if !waiting.sets.is_empty() {
                    waiting.run(shared, replies);
                }
                waiting.gets.reserve(BATCH - waiting.gets.len());
                waiting.gets.extend(in_input(1));
            }
            (Batch::Sets, 3) if more && rest[0] == b'*' => {
                if !waiting.gets.is_empty() {
                    waiting.run(shared, replies);
                }
                waiting.sets.reserve(BATCH - waiting.sets.len());
                waiting.sets.extend(in_input(1).zip(in_input(2)));
            }
            _ => {
                waiting.run(shared, replies);
                if is_foreign(args.at(0)) {
                    session.closing = true;
                    break;
                }
                commands::run(spec, &mut Call { args, shared, session, replies });
            }
        }
        if waiting.is_full() {
            waiting.run(shared, replies);
        }
        paused = replies.len() >= SEND_AT || replies.overflown();
    }
    waiting.run(shared, replies);
    // Nobody maintains the store's time between requests.
    clock::begin_command();
    shared.counts.commands.fetch_add(count, Ordering::Relaxed);
    Progress { consumed, paused }
}

/// Whether this is the start of an HTTP request: a web page may make a browser send one to a local port, with commands in
/// its body. As in Redis, the connection ends.
fn is_foreign(command: &[u8]) -> bool {
    command.eq_ignore_ascii_case(b"post") || command.eq_ignore_ascii_case(b"host:")
}
