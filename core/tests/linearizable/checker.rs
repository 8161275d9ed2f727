//! The search for an order, after Wing and Gong, with Lowe's memory of what was tried.
//!
//! ```text
//! of the calls that no other call ended before, take one whose answer the state allows; go on with the rest
//! where none is left that fits, take back the last one and try the next
//! the same calls taken, in the same state, lead nowhere a second time
//! ```
//! In a cache an entry may go between any two calls: each call is tried as it finds the entry, then as if there were
//! none.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use super::entry::State;
use super::history::Event;

/// Which calls are taken, a bit each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Taken(Box<[u64]>);

impl Taken {
    fn none(of: usize) -> Taken {
        Taken(vec![0; of.div_ceil(64)].into())
    }

    fn has(&self, call: usize) -> bool {
        self.0[call / 64] >> (call % 64) & 1 == 1
    }

    fn flip(&mut self, call: usize) {
        self.0[call / 64] ^= 1 << (call % 64);
    }
}

/// A call, and whether the entry was evicted before it.
type Choice = (usize, bool);

/// A call that was taken, and the state before.
struct Step {
    choice: Choice,
    found: State,
}

struct Search<'a> {
    /// In the order in which they began.
    events: Vec<&'a Event>,
    /// The calls whose answers tell a version.
    tellers: HashMap<u64, Vec<usize>>,
    taken: Taken,
    state: State,
    order: Vec<Step>,
    evicts: bool,
    tried: HashSet<(Taken, State)>,
}

/// Looks for an order of one key's calls, beginning with no value, that explains every answer. The error shows the
/// calls and how far the best attempt went. `evicts` says that the key may become absent between calls.
pub(crate) fn check(events: &[Event], evicts: bool) -> Result<(), String> {
    const FIRST: Choice = (0, false);
    let mut search = Search::new(events, evicts);
    let mut furthest = Vec::new();
    let mut from = FIRST;
    loop {
        if search.take_next(from) {
            from = FIRST;
            continue;
        }
        if search.order.len() == events.len() {
            return Ok(());
        }
        if search.order.len() >= furthest.len() {
            furthest = search.order.iter().map(|step| step.choice.0).collect();
        }
        match search.take_back() {
            Some((call, false)) => from = (call, true),
            Some((call, true)) => from = (call + 1, false),
            None => return Err(search.describe(&furthest)),
        }
    }
}

impl<'a> Search<'a> {
    fn new(events: &'a [Event], evicts: bool) -> Search<'a> {
        let mut events: Vec<&Event> = events.iter().collect();
        events.sort_by_key(|event| event.began);
        let mut tellers: HashMap<u64, Vec<usize>> = HashMap::new();
        for (call, event) in events.iter().enumerate() {
            if let Some(version) = event.told_version() {
                tellers.entry(version).or_default().push(call);
            }
        }
        Search {
            taken: Taken::none(events.len()),
            events,
            tellers,
            state: None,
            order: Vec::new(),
            tried: HashSet::new(),
            evicts,
        }
    }

    /// Takes the first choice from `from` on that may come next; whether there is one.
    fn take_next(&mut self, from: Choice) -> bool {
        let mut first_end = u64::MAX;
        for call in 0..self.events.len() {
            let event = self.events[call];
            if event.began > first_end {
                break;
            }
            if self.taken.has(call) {
                continue;
            }
            first_end = first_end.min(event.ended);
            for choice in [(call, false), (call, true)] {
                if choice >= from && self.take(choice) {
                    return true;
                }
            }
        }
        false
    }

    fn take(&mut self, choice: Choice) -> bool {
        let (call, evicted) = choice;
        if evicted && !(self.evicts && self.state.is_some()) {
            return false;
        }
        let state = if evicted { &None } else { &self.state };
        let event = self.events[call];
        let fresh = |version: u64| {
            let tellers = self.tellers.get(&version).map_or(&[][..], Vec::as_slice);
            !tellers.iter().any(|teller| self.taken.has(*teller))
        };
        let Some(next) = event.call.step(&event.answer, state, fresh) else { return false };
        self.taken.flip(call);
        if !self.tried.insert((self.taken.clone(), next.clone())) {
            self.taken.flip(call);
            return false;
        }
        let found = std::mem::replace(&mut self.state, next);
        self.order.push(Step { choice, found });
        true
    }

    fn take_back(&mut self) -> Option<Choice> {
        let Step { choice, found } = self.order.pop()?;
        self.taken.flip(choice.0);
        self.state = found;
        Some(choice)
    }

    fn describe(&self, furthest: &[usize]) -> String {
        let mut text = format!(
            "no order of the {} calls explains their answers; the best attempt took {}, numbered here:",
            self.events.len(),
            furthest.len()
        );
        for (call, event) in self.events.iter().enumerate() {
            let place = furthest.iter().position(|taken| *taken == call);
            let place = place.map_or_else(|| "-".to_owned(), |place| (place + 1).to_string());
            let Event { thread, call, answer, began, ended } = event;
            let _ = write!(
                text,
                "\n{place:>4}  thread {thread}  {began:>6} to {ended:>6}  {call:?} -> {answer:?}"
            );
        }
        text
    }
}
