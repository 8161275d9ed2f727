//! Requests, found in a buffer without copying them: arrays of bulk strings, and lines as a person types them.
//!
//! A request that comes in pieces is not looked at again from its start: the parser knows how far it got, in offsets from
//! the start of the request, so that the buffer may move meanwhile.

use std::fmt;

use crate::inline::{self, Unbalanced};
use crate::number;

/// Longest line that is taken as a request.
const MAX_INLINE: usize = 64 << 10;
/// Longest line that may hold a length, its end included; the longest number has 20 bytes.
const MAX_LENGTH_LINE: usize = 32;
/// Argument places that a parser keeps for its next request.
const KEPT_ARGS: usize = 64;

/// What a request may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestLimits {
    /// Arguments, the command's name included.
    pub(crate) args: usize,
    /// Bytes of one argument.
    pub(crate) arg_len: usize,
    /// Bytes of a whole request as it is sent.
    pub(crate) request_len: usize,
}

/// Why a connection cannot go on. The texts are those of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    InvalidMultibulkLength,
    InvalidBulkLength,
    ExpectedDollar(u8),
    TooBigInline,
    UnbalancedQuotes,
    TooBigRequest,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ERR Protocol error: ")?;
        match self {
            ProtocolError::InvalidMultibulkLength => f.write_str("invalid multibulk length"),
            ProtocolError::InvalidBulkLength => f.write_str("invalid bulk length"),
            ProtocolError::ExpectedDollar(got) if got.is_ascii_graphic() => {
                write!(f, "expected '$', got '{}'", char::from(*got))
            }
            // A control character would break the line of the reply.
            ProtocolError::ExpectedDollar(_) => f.write_str("expected '$', got ' '"),
            ProtocolError::TooBigInline => f.write_str("too big inline request"),
            ProtocolError::UnbalancedQuotes => f.write_str("unbalanced quotes in request"),
            ProtocolError::TooBigRequest => f.write_str("too big request"),
        }
    }
}

/// What the parser found at the start of its input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Not the whole request yet.
    Partial,
    /// A request of so many bytes; its arguments lie in the input.
    Request(usize),
    /// A line of so many bytes; its arguments lie in [`Parser::line`].
    Line(usize),
}

/// Where an argument begins and ends.
pub(crate) type Place = (usize, usize);

#[derive(Debug)]
pub(crate) struct Parser {
    limits: RequestLimits,
    /// How far the present request has been understood.
    at: usize,
    /// Arguments that are still to come; `None` while nothing is known of the request.
    missing: Option<usize>,
    /// Length of the argument whose bytes come next.
    arg_len: Option<usize>,
    args: Vec<Place>,
    line: Vec<u8>,
}

enum Length {
    Partial,
    Invalid,
    /// The number and where the next line begins.
    Number(i64, usize),
}

impl Parser {
    pub(crate) fn new(limits: RequestLimits) -> Parser {
        Parser { limits, at: 0, missing: None, arg_len: None, args: Vec::new(), line: Vec::new() }
    }

    /// The arguments of the request that was found last.
    pub(crate) fn args(&self) -> &[Place] {
        &self.args
    }

    /// The bytes in which the arguments of a line lie, quotes resolved.
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Bytes of the present argument that are known to come beyond an input of `len` bytes.
    pub(crate) fn awaited(&self, len: usize) -> usize {
        self.arg_len.map_or(0, |arg_len| (self.at + arg_len + 2).saturating_sub(len))
    }

    /// Looks at the request at the start of `input`. After `Partial` it wants the same bytes again, and more.
    pub(crate) fn next(&mut self, input: &[u8]) -> Result<Found, ProtocolError> {
        let missing = match self.missing {
            Some(missing) => missing,
            None => match input.first() {
                None => return Ok(Found::Partial),
                Some(b'*') => match self.begin(input)? {
                    Some(missing) => missing,
                    None => return Ok(Found::Partial),
                },
                Some(_) => return self.next_line(input),
            },
        };
        self.next_args(input, missing)
    }

    /// Reads how many arguments a request has.
    fn begin(&mut self, input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        self.args.clear();
        if self.args.capacity() > KEPT_ARGS {
            self.args.shrink_to(KEPT_ARGS);
        }
        match length(input, 1) {
            Length::Partial => Ok(None),
            Length::Invalid => Err(ProtocolError::InvalidMultibulkLength),
            Length::Number(count, next) => {
                // Redis takes a negative count for an empty request.
                let count = usize::try_from(count).unwrap_or(0);
                if count > self.limits.args {
                    return Err(ProtocolError::InvalidMultibulkLength);
                }
                self.at = next;
                self.missing = Some(count);
                Ok(Some(count))
            }
        }
    }

    fn next_args(&mut self, input: &[u8], mut missing: usize) -> Result<Found, ProtocolError> {
        let (mut at, mut known_len) = (self.at, self.arg_len.take());
        while missing > 0 {
            let len = match known_len.take() {
                Some(len) => len,
                None => match input.get(at) {
                    None => return self.pause(at, missing, None),
                    Some(b'$') => match length(input, at + 1) {
                        Length::Partial => return self.pause(at, missing, None),
                        Length::Invalid => return Err(ProtocolError::InvalidBulkLength),
                        Length::Number(len, next) => {
                            at = next;
                            self.admit(len, at)?
                        }
                    },
                    Some(other) => return Err(ProtocolError::ExpectedDollar(*other)),
                },
            };
            if input.len() < at + len + 2 {
                return self.pause(at, missing, Some(len));
            }
            self.args.push((at, at + len));
            // As Redis, without a look at what stands for the end of the line.
            at += len + 2;
            missing -= 1;
        }
        self.at = 0;
        self.missing = None;
        Ok(Found::Request(at))
    }

    fn pause(
        &mut self,
        at: usize,
        missing: usize,
        arg_len: Option<usize>,
    ) -> Result<Found, ProtocolError> {
        (self.at, self.missing, self.arg_len) = (at, Some(missing), arg_len);
        Ok(Found::Partial)
    }

    /// The length of an argument whose bytes begin at `at`, if it may be as long.
    fn admit(&self, len: i64, at: usize) -> Result<usize, ProtocolError> {
        match usize::try_from(len) {
            Ok(len) if len <= self.limits.arg_len => {
                if at + len > self.limits.request_len {
                    return Err(ProtocolError::TooBigRequest);
                }
                Ok(len)
            }
            _ => Err(ProtocolError::InvalidBulkLength),
        }
    }

    fn next_line(&mut self, input: &[u8]) -> Result<Found, ProtocolError> {
        let searched = self.at.min(input.len());
        let Some(found) = input[searched..].iter().position(|byte| *byte == b'\n') else {
            self.at = input.len();
            return if self.at > MAX_INLINE {
                Err(ProtocolError::TooBigInline)
            } else {
                Ok(Found::Partial)
            };
        };
        let end = searched + found;
        self.at = 0;
        let text = &input[..end];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.len() > MAX_INLINE {
            return Err(ProtocolError::TooBigInline);
        }
        inline::split(text, &mut self.line, &mut self.args)
            .map_err(|Unbalanced| ProtocolError::UnbalancedQuotes)?;
        Ok(Found::Line(end + 1))
    }
}

/// The number that stands from `at` to the end of its line.
#[inline]
fn length(input: &[u8], at: usize) -> Length {
    let mut number = 0_i64;
    // 18 digits cannot overflow; what is longer, or has a sign, goes the careful way.
    for (digits, byte) in input[at.min(input.len())..].iter().enumerate().take(18) {
        match byte {
            b'0'..=b'9' => number = number * 10 + i64::from(byte - b'0'),
            b'\r' if digits == 1 || (digits > 1 && input[at] != b'0') => {
                let next = at + digits + 2;
                return if next <= input.len() {
                    Length::Number(number, next)
                } else {
                    Length::Partial
                };
            }
            _ => return careful_length(input, at),
        }
    }
    careful_length(input, at)
}

#[cold]
fn careful_length(input: &[u8], at: usize) -> Length {
    let line = &input[at.min(input.len())..];
    let line = &line[..line.len().min(MAX_LENGTH_LINE)];
    match line.iter().position(|byte| *byte == b'\r') {
        Some(end) if at + end + 2 > input.len() => Length::Partial,
        Some(end) => match number::integer(&line[..end]) {
            Some(number) => Length::Number(number, at + end + 2),
            None => Length::Invalid,
        },
        None if line.len() == MAX_LENGTH_LINE => Length::Invalid,
        None => Length::Partial,
    }
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
