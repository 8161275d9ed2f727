//! What operations take and answer, beside bytes.

use std::fmt;
use std::time::Duration;

/// Identifies one write of one value: unique in the store for ever, never 0. Changing a lifetime keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub(crate) u64);

impl Version {
    /// The number, to be stored or sent elsewhere.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// The version with this number. A number that the store never gave matches no entry.
    #[must_use]
    pub fn from_u64(number: u64) -> Version {
        Version(number)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When [`Store::set_with`](crate::Store::set_with) stores its value. An expired entry counts as absent.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Condition<'a> {
    /// In any case.
    #[default]
    Always,
    /// If the key has no value.
    IfAbsent,
    /// If the key has a value.
    IfPresent,
    /// If the key's value is still of this version.
    IfVersion(Version),
    /// If the key's value equals these bytes.
    IfValue(&'a [u8]),
}

impl fmt::Debug for Condition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Always => f.write_str("Always"),
            Condition::IfAbsent => f.write_str("IfAbsent"),
            Condition::IfPresent => f.write_str("IfPresent"),
            Condition::IfVersion(version) => write!(f, "IfVersion({version})"),
            // Values never appear in Debug output.
            Condition::IfValue(value) => write!(f, "IfValue({} bytes)", value.len()),
        }
    }
}

/// How [`Store::set_with`](crate::Store::set_with) stores its value. The default is that of
/// [`Store::set`](crate::Store::set): always, without a time to live.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SetOptions<'a> {
    pub(crate) condition: Condition<'a>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) keep_ttl: bool,
    pub(crate) return_previous: bool,
}

impl<'a> SetOptions<'a> {
    /// Store always, without a time to live.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Store only if the condition holds at the moment of writing.
    #[must_use]
    pub fn condition(mut self, condition: Condition<'a>) -> Self {
        self.condition = condition;
        self
    }

    /// Store only if the key has no value.
    #[must_use]
    pub fn if_absent(self) -> Self {
        self.condition(Condition::IfAbsent)
    }

    /// Store only if the key has a value.
    #[must_use]
    pub fn if_present(self) -> Self {
        self.condition(Condition::IfPresent)
    }

    /// Store only if the key's value is still of this version.
    #[must_use]
    pub fn if_version(self, version: Version) -> Self {
        self.condition(Condition::IfVersion(version))
    }

    /// Store only if the key's value equals these bytes.
    #[must_use]
    pub fn if_value(self, expected: &'a [u8]) -> Self {
        self.condition(Condition::IfValue(expected))
    }

    /// The entry expires after this long, to the millisecond, rounded up. Zero is `InvalidArgument`.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The entry keeps the lifetime it has. Together with `ttl` this is `InvalidArgument`.
    #[must_use]
    pub fn keep_ttl(mut self) -> Self {
        self.keep_ttl = true;
        self
    }

    /// Answer with the value that was there, whether or not the new one was stored.
    #[must_use]
    pub fn return_previous(mut self) -> Self {
        self.return_previous = true;
        self
    }
}

/// What [`Store::set_with`](crate::Store::set_with) did.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetOutcome {
    /// Whether the value was stored; if not, the condition did not hold.
    pub stored: bool,
    /// Version of the stored value, or else of the value that is there; `None` if there is none.
    pub version: Option<Version>,
    /// The value that was there, if it was asked for.
    pub previous: Option<Vec<u8>>,
}

impl fmt::Debug for SetOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetOutcome")
            .field("stored", &self.stored)
            .field("version", &self.version)
            .field("previous_len", &self.previous.as_ref().map(Vec::len))
            .finish()
    }
}

/// When [`Store::expire_with`](crate::Store::expire_with) changes a lifetime.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExpireCondition {
    /// In any case.
    #[default]
    Always,
    /// If the entry has no lifetime.
    IfNone,
    /// If the entry has a lifetime.
    IfAny,
    /// If the new lifetime ends later than the present one. No lifetime is the latest.
    IfLater,
    /// If the new lifetime ends sooner than the present one. No lifetime is the latest.
    IfSooner,
}

/// How long an entry has to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeToLive {
    /// Until it is removed.
    Forever,
    /// This long, to the millisecond.
    Remaining(Duration),
}

/// What [`Store::entry_info`](crate::Store::entry_info) answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryInfo {
    /// Version of the value.
    pub version: Version,
    /// Length of the value in bytes.
    pub value_len: usize,
    /// How long the entry has to live.
    pub ttl: TimeToLive,
}

/// What [`Store::maintain`](crate::Store::maintain) answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WorkLeft {
    /// About how many dead bytes there are while something is left to do; 0 when nothing is worth it.
    pub bytes: u64,
}
