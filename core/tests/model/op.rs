//! One operation of the model, independent of the store it is applied to.

use nyala::ExpireCondition;

use crate::common::{index, mix};

/// A key, by a number that the trial maps to one of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyNumber(pub(crate) u64);

/// A length that depends on what the store takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Exactly(usize),
    /// This many thousandths of the limit.
    Share(usize),
    BelowLimit(usize),
    AboveLimit(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    Bytes { length: Length, fill: u64 },
    Number(i64),
    Text(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    IfAbsent,
    IfPresent,
    /// The entry's version, or one that never was if there is no entry.
    IfVersion,
    /// A version that the entry had before, or will have.
    IfOtherVersion,
    IfValue,
    IfOtherValue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    Forever,
    Keep,
    Milliseconds(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Set {
        key: KeyNumber,
        value: Payload,
    },
    SetWith {
        key: KeyNumber,
        value: Payload,
        when: When,
        lifetime: Lifetime,
        previous: bool,
    },
    Swap {
        key: KeyNumber,
        value: Payload,
    },
    Append {
        key: KeyNumber,
        tail: Payload,
    },
    Increment {
        key: KeyNumber,
        delta: i64,
        ttl_on_create_ms: Option<u64>,
    },
    Get {
        key: KeyNumber,
    },
    GetVersioned {
        key: KeyNumber,
    },
    GetInto {
        key: KeyNumber,
    },
    GetWith {
        key: KeyNumber,
    },
    GetMany {
        key: KeyNumber,
        count: usize,
        stride: u64,
    },
    Contains {
        key: KeyNumber,
    },
    EntryInfo {
        key: KeyNumber,
    },
    Ttl {
        key: KeyNumber,
    },
    Delete {
        key: KeyNumber,
    },
    DeleteIf {
        key: KeyNumber,
        current: bool,
    },
    Take {
        key: KeyNumber,
    },
    Expire {
        key: KeyNumber,
        ttl_ms: u64,
        condition: ExpireCondition,
    },
    /// Relative to the clock.
    ExpireAt {
        key: KeyNumber,
        offset_ms: i64,
        condition: ExpireCondition,
    },
    Persist {
        key: KeyNumber,
    },
    SetMany {
        key: KeyNumber,
        count: usize,
        stride: u64,
        value: Payload,
    },
    SetFrame {
        key: KeyNumber,
        count: usize,
        stride: u64,
        value: Payload,
    },
    DeleteMany {
        key: KeyNumber,
        count: usize,
        stride: u64,
    },
    Pin {
        hand: usize,
        key: KeyNumber,
    },
    CheckPins,
    Unpin {
        hand: usize,
    },
    ScanWhole {
        prefix: usize,
    },
    ScanOpen {
        prefix: usize,
    },
    ScanStep {
        count: usize,
    },
    ScanBatch {
        budget: usize,
    },
    ScanResume,
    Maintain {
        microseconds: u64,
    },
    /// Thousandths of what the store was opened with; not all of them are legal.
    SetMaxBytes {
        share: u64,
    },
    Advance {
        milliseconds: u64,
    },
    Clear,
}

/// The keys that an operation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    None,
    One(KeyNumber),
    Batch { key: KeyNumber, count: usize, stride: u64 },
    All,
}

/// Pins that a trial holds at once.
pub(crate) const HANDS: usize = 4;

/// Numbers that are canonical decimals, and texts that look like some.
const TEXTS: [&str; 16] = [
    "",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "-0",
    "+1",
    "01",
    " 1",
    "1 ",
    "-",
    "1e3",
    "100000000000000000000",
    "0000000000000000000000000",
];

/// Lengths around the words and lines of a record, then up to the limit, the edges more often than their share.
fn length(word: u64) -> Length {
    let more = mix(word);
    match word % 100 {
        0..60 => Length::Exactly(index(more, 49)),
        60..80 => Length::Exactly(index(more, 300)),
        80..85 => Length::Exactly(0),
        85..94 => Length::Share(index(more, 300)),
        94..96 => Length::Share(index(more, 1000)),
        96..99 => Length::BelowLimit(index(more, 9)),
        _ => Length::AboveLimit(1 + index(more, 9)),
    }
}

fn payload(word: u64) -> Payload {
    let more = mix(!word);
    match word % 8 {
        0 => Payload::Number((more % 2_000).cast_signed() - 1_000),
        1 if more.is_multiple_of(4) => Payload::Text(TEXTS[index(more >> 8, TEXTS.len())]),
        _ => Payload::Bytes { length: length(word >> 3), fill: more },
    }
}

fn delta(word: u64) -> i64 {
    match word % 16 {
        0 => i64::MAX,
        1 => i64::MIN,
        2 => 0,
        3..6 => mix(word).cast_signed(),
        _ => (mix(word) % 200).cast_signed() - 100,
    }
}

fn ttl_ms(word: u64) -> u64 {
    let more = mix(word);
    match word % 16 {
        0 => 1,
        1..8 => 1 + more % 100,
        8..15 => 1 + more % 20_000,
        _ => more % u64::from(u32::MAX) + 1,
    }
}

fn condition(word: u64) -> ExpireCondition {
    match word % 8 {
        0..4 => ExpireCondition::Always,
        4 => ExpireCondition::IfNone,
        5 => ExpireCondition::IfAny,
        6 => ExpireCondition::IfLater,
        _ => ExpireCondition::IfSooner,
    }
}

/// Smaller caps more often than larger ones, so that a store is full now and then.
fn share(word: u64) -> u64 {
    let more = mix(word);
    match word % 16 {
        0 => more % 250,
        1 => 4001 + more % 2000,
        2 => 250,
        3 => 4000,
        4..8 => 1000,
        8..13 => 250 + more % 750,
        _ => 1000 + more % 3000,
    }
}

impl Op {
    /// Every four words are an operation (the kind by thousandths), and smaller words tend to be simpler ones.
    pub(crate) fn from_words(words: [u64; 4]) -> Op {
        let [kind_word, key_word, value_word, detail] = words;
        let key = KeyNumber(key_word);
        let value = payload(value_word);
        // Some batches repeat one key, most name neighbours.
        let stride = [1, 1, 1, 3, 0][index(detail, 5)];
        let count = 1 + index(detail >> 8, 24);
        match kind_word % 1000 {
            0..190 => Op::Set { key, value },
            190..300 => Op::SetWith {
                key,
                value,
                when: match detail % 12 {
                    0..5 => When::Always,
                    5 => When::IfAbsent,
                    6 => When::IfPresent,
                    7 => When::IfVersion,
                    8 => When::IfOtherVersion,
                    9 | 10 => When::IfValue,
                    _ => When::IfOtherValue,
                },
                lifetime: match (detail >> 16) % 4 {
                    0 => Lifetime::Forever,
                    1 => Lifetime::Keep,
                    _ => Lifetime::Milliseconds(ttl_ms(detail >> 24)),
                },
                previous: (detail >> 20).is_multiple_of(3),
            },
            300..325 => Op::Swap { key, value },
            325..370 => Op::Append { key, tail: value },
            370..430 => Op::Increment {
                key,
                delta: delta(value_word),
                ttl_on_create_ms: detail.is_multiple_of(3).then(|| ttl_ms(detail >> 8)),
            },
            430..520 => Op::Get { key },
            520..575 => Op::GetVersioned { key },
            575..605 => Op::GetInto { key },
            605..625 => Op::GetWith { key },
            625..650 => Op::GetMany { key, count: 1 + index(detail >> 8, 70), stride },
            650..670 => Op::Contains { key },
            670..700 => Op::EntryInfo { key },
            700..715 => Op::Ttl { key },
            715..775 => Op::Delete { key },
            775..795 => Op::DeleteIf { key, current: detail.is_multiple_of(2) },
            795..810 => Op::Take { key },
            810..840 => {
                Op::Expire { key, ttl_ms: ttl_ms(value_word), condition: condition(detail) }
            }
            840..855 => Op::ExpireAt {
                key,
                offset_ms: (value_word % 3_000).cast_signed() - 500,
                condition: condition(detail),
            },
            855..870 => Op::Persist { key },
            870..882 => Op::SetMany { key, count, stride, value },
            882..890 => Op::SetFrame { key, count, stride, value },
            890..895 => Op::DeleteMany { key, count, stride },
            895..910 => Op::Pin { hand: index(detail, HANDS), key },
            910..916 => Op::CheckPins,
            916..928 => Op::Unpin { hand: index(detail, HANDS) },
            928 => Op::ScanWhole { prefix: index(detail, 5) },
            929..932 => Op::ScanOpen { prefix: index(detail, 5) },
            932..957 => Op::ScanStep { count: 1 + index(detail, 40) },
            957..967 => Op::ScanBatch { budget: 1 + index(detail, 300) },
            967..972 => Op::ScanResume,
            972..982 => Op::Maintain { microseconds: detail % 200 },
            982 | 983 => Op::SetMaxBytes { share: share(detail) },
            984..999 => Op::Advance {
                milliseconds: if detail.is_multiple_of(16) { 30_000 } else { detail % 100 },
            },
            // Seldom, so that stores fill up between two of them.
            _ if detail.is_multiple_of(16) => Op::Clear,
            _ => Op::Maintain { microseconds: 10_000 },
        }
    }

    pub(crate) fn named(&self) -> Named {
        match *self {
            Op::Set { key, .. }
            | Op::SetWith { key, .. }
            | Op::Swap { key, .. }
            | Op::Append { key, .. }
            | Op::Increment { key, .. }
            | Op::Get { key }
            | Op::GetVersioned { key }
            | Op::GetInto { key }
            | Op::GetWith { key }
            | Op::Contains { key }
            | Op::EntryInfo { key }
            | Op::Ttl { key }
            | Op::Delete { key }
            | Op::DeleteIf { key, .. }
            | Op::Take { key }
            | Op::Expire { key, .. }
            | Op::ExpireAt { key, .. }
            | Op::Persist { key }
            | Op::Pin { key, .. } => Named::One(key),
            Op::GetMany { key, count, stride }
            | Op::SetMany { key, count, stride, .. }
            | Op::SetFrame { key, count, stride, .. }
            | Op::DeleteMany { key, count, stride } => Named::Batch { key, count, stride },
            Op::ScanWhole { .. } | Op::ScanOpen { .. } | Op::Clear => Named::All,
            Op::CheckPins
            | Op::Unpin { .. }
            | Op::ScanStep { .. }
            | Op::ScanBatch { .. }
            | Op::ScanResume
            | Op::Maintain { .. }
            | Op::SetMaxBytes { .. }
            | Op::Advance { .. } => Named::None,
        }
    }

    /// What the operation is counted as.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Op::Set { .. } => "set",
            Op::SetWith { .. } => "set_with",
            Op::Swap { .. } => "swap",
            Op::Append { .. } => "append",
            Op::Increment { .. } => "increment",
            Op::Get { .. } => "get",
            Op::GetVersioned { .. } => "get_versioned",
            Op::GetInto { .. } => "get_into",
            Op::GetWith { .. } => "get_with",
            Op::GetMany { .. } => "get_many",
            Op::Contains { .. } => "contains",
            Op::EntryInfo { .. } => "entry_info",
            Op::Ttl { .. } => "ttl",
            Op::Delete { .. } => "delete",
            Op::DeleteIf { .. } => "delete_if",
            Op::Take { .. } => "take",
            Op::Expire { .. } => "expire",
            Op::ExpireAt { .. } => "expire_at",
            Op::Persist { .. } => "persist",
            Op::SetMany { .. } => "set_many",
            Op::SetFrame { .. } => "set_many_atomic",
            Op::DeleteMany { .. } => "delete_many",
            Op::Pin { .. } => "pin",
            Op::CheckPins => "check_pins",
            Op::Unpin { .. } => "unpin",
            Op::ScanWhole { .. } => "scan_whole",
            Op::ScanOpen { .. } => "scan_open",
            Op::ScanStep { .. } => "scan_step",
            Op::ScanBatch { .. } => "scan_batch",
            Op::ScanResume => "scan_resume",
            Op::Maintain { .. } => "maintain",
            Op::SetMaxBytes { .. } => "set_max_bytes",
            Op::Advance { .. } => "advance",
            Op::Clear => "clear",
        }
    }
}

impl Payload {
    /// The same payload for another key of a batch.
    pub(crate) fn varied(self, by: u64) -> Payload {
        match self {
            Payload::Bytes { length, fill } => Payload::Bytes { length, fill: fill ^ by },
            other => other,
        }
    }

    /// Fills `out` with the payload's bytes.
    pub(crate) fn write_to(self, out: &mut Vec<u8>, limit: usize) {
        out.clear();
        match self {
            Payload::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Payload::Text(text) => out.extend_from_slice(text.as_bytes()),
            Payload::Bytes { length, fill } => {
                let len = match length {
                    Length::Exactly(len) => len.min(limit),
                    Length::Share(thousandths) => limit * thousandths / 1000,
                    Length::BelowLimit(less) => limit - less.min(limit),
                    Length::AboveLimit(more) => limit + more,
                };
                out.reserve(len + 8);
                let mut word = fill;
                while out.len() < len {
                    out.extend_from_slice(&word.to_le_bytes());
                    word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) ^ 0xa5;
                }
                out.truncate(len);
            }
        }
    }
}
