//! What a thread asks of one key, and what it is answered.

use std::fmt;

use nyala::{Error, Result, SetOptions, Store, Version};

use crate::common::Random;

/// Bytes that print as the beginning of a text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

/// When a conditional write stores its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Only {
    Always,
    IfAbsent,
    IfPresent,
    IfVersion(u64),
    IfValue(Bytes),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Get,
    /// By a closure that takes its time.
    GetWith,
    GetVersioned,
    Pin,
    Contains,
    Set(Bytes),
    SetWith {
        only: Only,
        value: Bytes,
        previous: bool,
    },
    Swap(Bytes),
    Take,
    Delete,
    DeleteIf(u64),
    Append(Bytes),
    Increment(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Truth(bool),
    Value(Option<Bytes>),
    Versioned(Option<(Bytes, u64)>),
    Outcome { stored: bool, version: Option<u64>, previous: Option<Bytes> },
    Len(usize),
    Sum(i64),
    Refused(Error),
}

impl Call {
    /// Asks the store. The error is one that no operation on a key may answer here.
    pub(crate) fn perform(
        &self,
        store: &Store,
        key: &str,
        random: &mut Random,
    ) -> std::result::Result<Answer, String> {
        let answer = match self {
            Call::Get => store.get(key).map(value),
            Call::GetWith => get_slowly(store, key, random).map(Answer::Versioned),
            Call::GetVersioned => store
                .get_versioned(key)
                .map(|found| Answer::Versioned(found.map(|(value, at)| (Bytes(value), at.get())))),
            Call::Pin => store.pin(key).map(|pinned| {
                Answer::Versioned(pinned.map(|p| (Bytes(p.to_vec()), p.version().get())))
            }),
            Call::Contains => store.contains(key).map(Answer::Truth),
            Call::Set(Bytes(bytes)) => store.set(key, bytes).map(|()| Answer::Done),
            Call::SetWith { only, value: Bytes(bytes), previous } => {
                store.set_with(key, bytes, only.options(*previous)).map(|outcome| Answer::Outcome {
                    stored: outcome.stored,
                    version: outcome.version.map(Version::get),
                    previous: outcome.previous.map(Bytes),
                })
            }
            Call::Swap(Bytes(bytes)) => store.swap(key, bytes).map(value),
            Call::Take => store.take(key).map(value),
            Call::Delete => store.delete(key).map(Answer::Truth),
            Call::DeleteIf(version) => {
                store.delete_if(key, Version::from_u64(*version)).map(Answer::Truth)
            }
            Call::Append(Bytes(tail)) => store.append(key, tail).map(Answer::Len),
            Call::Increment(delta) => store.increment(key, *delta, None).map(Answer::Sum),
        };
        answer.or_else(|error| match error {
            Error::Full { .. }
            | Error::ValueTooLarge { .. }
            | Error::NotANumber { .. }
            | Error::Overflow { .. } => Ok(Answer::Refused(error)),
            error => Err(format!("{self:?}: {error}")),
        })
    }
}

fn value(found: Option<Vec<u8>>) -> Answer {
    Answer::Value(found.map(Bytes))
}

/// Lets other threads run between finding the record, copying it and looking whether the copy is whole.
fn get_slowly(store: &Store, key: &str, random: &mut Random) -> Result<Option<(Bytes, u64)>> {
    let (before, after) = (random.one_in(4), random.one_in(4));
    let hesitate = |long| {
        if long {
            std::thread::yield_now();
        }
    };
    store.get_with(key, |value, version| {
        let mut copy = Vec::new();
        hesitate(before);
        value.copy_to_vec(&mut copy);
        hesitate(after);
        (Bytes(copy), version.get())
    })
}

impl Only {
    fn options(&self, previous: bool) -> SetOptions<'_> {
        let options = match self {
            Only::Always => SetOptions::new(),
            Only::IfAbsent => SetOptions::new().if_absent(),
            Only::IfPresent => SetOptions::new().if_present(),
            Only::IfVersion(version) => SetOptions::new().if_version(Version::from_u64(*version)),
            Only::IfValue(Bytes(value)) => SetOptions::new().if_value(value),
        };
        if previous { options.return_previous() } else { options }
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Bytes {
        Bytes(text.into())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 24;
        let Bytes(bytes) = self;
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]);
        match bytes.len() {
            0..=SHOWN => write!(f, "{start:?}"),
            len => write!(f, "{start:?}.. ({len} bytes)"),
        }
    }
}
