//! What a child tells its parent: lines of fixed length, each written at once, so that threads do not mix theirs.

use std::io::{Read, Write};

/// What an operation does to one key, or to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Stores the value of this number.
    Set(u64),
    /// The same, to live for long, or for a moment.
    SetLong(u64),
    SetShort(u64),
    /// The same as one with other keys, all of which get the value of one number.
    SetFrame(u64),
    Increment,
    Delete,
    Persist,
    Expire,
    ExpireSoon,
    Clear,
}

/// What it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done; an increment came to this sum.
    Done(u64),
    /// The entry that it was about was not there.
    Missing,
    /// There was no room, and nothing was changed.
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// The store is open.
    Opened,
    Begin(u32, Deed),
    End(u32, Answer),
}

/// Bytes of a line: far fewer than a pipe takes at once.
const BYTES: usize = 16;

/// The key of what concerns all keys; above it, one for each thread.
pub(crate) const ALL: u32 = u32::MAX - 255;

impl Line {
    pub(crate) fn tell(self) {
        let (tag, key, number) = match self {
            Line::Opened => (0, 0, 0),
            Line::Begin(key, deed) => match deed {
                Deed::Set(number) => (1, key, number),
                Deed::SetLong(number) => (2, key, number),
                Deed::SetShort(number) => (3, key, number),
                Deed::Increment => (4, key, 0),
                Deed::Delete => (5, key, 0),
                Deed::Persist => (6, key, 0),
                Deed::Expire => (7, key, 0),
                Deed::ExpireSoon => (8, key, 0),
                Deed::Clear => (9, key, 0),
                Deed::SetFrame(number) => (13, key, number),
            },
            Line::End(key, answer) => match answer {
                Answer::Done(sum) => (10, key, sum),
                Answer::Missing => (11, key, 0),
                Answer::Full => (12, key, 0),
            },
        };
        let mut bytes = [0; BYTES];
        bytes[..4].copy_from_slice(&u32::to_le_bytes(tag));
        bytes[4..8].copy_from_slice(&u32::to_le_bytes(key));
        bytes[8..].copy_from_slice(&u64::to_le_bytes(number));
        // Past std's buffer: what was told must be in the pipe when this answers.
        let mut out = std::io::stdout().lock();
        out.write_all(&bytes).expect("the parent reads until the child is dead");
        out.flush().expect("the parent reads until the child is dead");
    }

    fn decode(bytes: [u8; BYTES]) -> Result<Line, String> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let number = u64::from_le_bytes(bytes[8..].try_into().expect("8 bytes"));
        let key = word(4);
        Ok(match word(0) {
            0 => Line::Opened,
            1 => Line::Begin(key, Deed::Set(number)),
            2 => Line::Begin(key, Deed::SetLong(number)),
            3 => Line::Begin(key, Deed::SetShort(number)),
            4 => Line::Begin(key, Deed::Increment),
            5 => Line::Begin(key, Deed::Delete),
            6 => Line::Begin(key, Deed::Persist),
            7 => Line::Begin(key, Deed::Expire),
            8 => Line::Begin(key, Deed::ExpireSoon),
            9 => Line::Begin(key, Deed::Clear),
            10 => Line::End(key, Answer::Done(number)),
            11 => Line::End(key, Answer::Missing),
            12 => Line::End(key, Answer::Full),
            13 => Line::Begin(key, Deed::SetFrame(number)),
            tag => return Err(format!("a child told {tag}, which means nothing")),
        })
    }
}

/// Hands every line on until the child is dead.
pub(crate) fn listen(mut pipe: impl Read, mut each: impl FnMut(Line)) -> Result<(), String> {
    let mut bytes = [0; BYTES];
    loop {
        let mut read = 0;
        while read < BYTES {
            match pipe.read(&mut bytes[read..]).map_err(|error| error.to_string())? {
                // A line that was cut off was not told.
                0 => return Ok(()),
                n => read += n,
            }
        }
        each(Line::decode(bytes)?);
    }
}
