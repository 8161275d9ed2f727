//! The sequential specification: what a call may answer where it finds an entry, and what it leaves.

use std::rc::Rc;

use nyala::Error;

use super::call::{Answer, Bytes, Call, Only};
use crate::common::canonical_number;

/// A key's value between two calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    value: Rc<[u8]>,
    /// Known once a call has told it.
    version: Option<u64>,
}

/// `None` where the key has no value.
pub(crate) type State = Option<Entry>;

impl Call {
    /// The state that the call leaves if it finds `state` and answers `answer`; `None` if it cannot. `fresh` tells of a
    /// version whether no call before this one has told it: a version belongs to one write for ever.
    pub(crate) fn step(
        &self,
        answer: &Answer,
        state: &State,
        fresh: impl Fn(u64) -> bool,
    ) -> Option<State> {
        match (self, answer) {
            (Call::Get, Answer::Value(value)) => same(state, value).then(|| state.clone()),
            (Call::GetWith | Call::GetVersioned | Call::Pin, Answer::Versioned(found)) => {
                match (state, found) {
                    (None, None) => Some(None),
                    (Some(entry), Some((value, version))) if entry.has(value) => {
                        Some(Some(entry.seen(*version, fresh)?))
                    }
                    _ => None,
                }
            }
            (Call::Contains, Answer::Truth(there)) => {
                (state.is_some() == *there).then(|| state.clone())
            }
            (Call::Set(value), Answer::Done) => Some(Entry::unseen(&value.0)),
            (Call::SetWith { only, value, previous }, Answer::Outcome { .. }) => {
                set_with(only, value, *previous, answer, state, fresh)
            }
            (Call::Swap(value), Answer::Value(previous)) => {
                same(state, previous).then(|| Entry::unseen(&value.0))
            }
            (Call::Take, Answer::Value(value)) => same(state, value).then_some(None),
            (Call::Delete, Answer::Truth(there)) => (state.is_some() == *there).then_some(None),
            (Call::DeleteIf(version), Answer::Truth(true)) => {
                state.as_ref()?.seen(*version, fresh).map(|_| None)
            }
            (Call::DeleteIf(version), Answer::Truth(false)) => {
                let is_it = state.as_ref().is_some_and(|entry| entry.version == Some(*version));
                (!is_it).then(|| state.clone())
            }
            (Call::Append(tail), Answer::Len(len)) => {
                let sum = appended(state, &tail.0);
                (sum.len() == *len).then(|| Entry::unseen(&sum))
            }
            (Call::Increment(delta), Answer::Sum(sum)) => {
                let old = state.as_ref().map_or(Some(0), |entry| canonical_number(&entry.value))?;
                (old.checked_add(*delta)? == *sum)
                    .then(|| Entry::unseen(sum.to_string().as_bytes()))
            }
            (call, Answer::Refused(error)) => call.may_refuse(error, state).then(|| state.clone()),
            _ => None,
        }
    }

    /// Whether an error that changes nothing is right where the call finds `state`.
    fn may_refuse(&self, error: &Error, state: &State) -> bool {
        let value = state.as_ref().map(|entry| &*entry.value);
        match (self, error) {
            (Call::Set(_) | Call::Swap(_) | Call::Append(_), Error::Full { .. }) => true,
            (Call::Increment(_), Error::Full { .. }) => {
                value.is_none_or(|value| canonical_number(value).is_some())
            }
            // A write whose condition does not hold needs no room.
            (Call::SetWith { only, .. }, Error::Full { .. }) => match only {
                Only::Always => true,
                Only::IfAbsent => value.is_none(),
                Only::IfPresent => value.is_some(),
                Only::IfVersion(version) => {
                    let known = state.as_ref().and_then(|entry| entry.version);
                    value.is_some() && known.is_none_or(|known| known == *version)
                }
                Only::IfValue(expected) => value == Some(&expected.0),
            },
            (Call::Append(tail), Error::ValueTooLarge { len, max }) => {
                *len == appended(state, &tail.0).len() && len > max
            }
            (Call::Increment(_), Error::NotANumber { len }) => {
                value.is_some_and(|value| canonical_number(value).is_none() && value.len() == *len)
            }
            (Call::Increment(delta), Error::Overflow { value: number, delta: added }) => {
                added == delta
                    && value.and_then(canonical_number) == Some(*number)
                    && number.checked_add(*delta).is_none()
            }
            _ => false,
        }
    }
}

impl Entry {
    /// What a write leaves that does not tell its version.
    fn unseen(value: &[u8]) -> State {
        Some(Entry { value: value.into(), version: None })
    }

    fn has(&self, value: &Bytes) -> bool {
        *self.value == *value.0
    }

    /// The entry, if it can be of this version.
    fn seen(&self, version: u64, fresh: impl Fn(u64) -> bool) -> Option<Entry> {
        let right = match self.version {
            Some(known) => known == version,
            None => fresh(version),
        };
        right.then(|| Entry { value: Rc::clone(&self.value), version: Some(version) })
    }
}

fn same(state: &State, value: &Option<Bytes>) -> bool {
    match (state, value) {
        (None, None) => true,
        (Some(entry), Some(value)) => entry.has(value),
        _ => false,
    }
}

fn appended(state: &State, tail: &[u8]) -> Vec<u8> {
    [state.as_ref().map_or(&[][..], |entry| &entry.value), tail].concat()
}

fn set_with(
    only: &Only,
    value: &Bytes,
    asks_previous: bool,
    answer: &Answer,
    state: &State,
    fresh: impl Fn(u64) -> bool,
) -> Option<State> {
    let Answer::Outcome { stored, version, previous } = answer else { return None };
    if asks_previous && !same(state, previous) || !asks_previous && previous.is_some() {
        return None;
    }
    // What the condition says of a version that no call has told yet, only the answer shows.
    let mut found = state.clone();
    let holds = match only {
        Only::Always => true,
        Only::IfAbsent => state.is_none(),
        Only::IfPresent => state.is_some(),
        Only::IfVersion(wanted) if *stored => {
            found = Some(state.as_ref()?.seen(*wanted, &fresh)?);
            true
        }
        Only::IfVersion(wanted) => {
            state.as_ref().is_some_and(|entry| entry.version == Some(*wanted))
        }
        Only::IfValue(expected) => state.as_ref().is_some_and(|entry| entry.has(expected)),
    };
    if holds != *stored {
        return None;
    }
    match (stored, version, found) {
        (true, Some(version), found) => {
            let reused = found.is_some_and(|entry| entry.version == Some(*version));
            let stored = Entry { value: value.0.as_slice().into(), version: Some(*version) };
            (fresh(*version) && !reused).then_some(Some(stored))
        }
        (false, Some(version), Some(entry)) => Some(Some(entry.seen(*version, fresh)?)),
        (false, None, None) => Some(None),
        _ => None,
    }
}
