//! Replies, written in the version of the protocol that the client has chosen.

use std::fmt::{Display, Write as _};
use std::str;

use nyala::Value;

/// The two versions of the protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

/// Collects the replies to the requests of one read, to be sent by one write.
#[derive(Debug)]
pub(crate) struct Replies {
    bytes: Vec<u8>,
    limit: usize,
    /// Set where a reply was cut off since it would have passed the limit: the connection cannot go on.
    overflown: bool,
    pub(crate) protocol: Protocol,
}

impl Replies {
    pub(crate) fn new(limit: usize) -> Replies {
        Replies { bytes: Vec::new(), limit, overflown: false, protocol: Protocol::Resp2 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn overflown(&self) -> bool {
        self.overflown
    }

    /// Takes back what was written since the replies had this length.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Forgets what has been sent, and gives memory back beyond `kept` bytes.
    pub(crate) fn clear(&mut self, kept: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(kept);
        self.overflown = false;
    }

    /// A short text that means itself, such as OK.
    pub(crate) fn simple(&mut self, text: &str) {
        self.line(b'+', text);
    }

    /// An error, its code in front. Line ends inside would be taken for the end of the reply.
    pub(crate) fn error(&mut self, text: &str) {
        let begin = self.bytes.len() + 1;
        self.line(b'-', text);
        let end = self.bytes.len().saturating_sub(2).max(begin);
        for byte in self.bytes.get_mut(begin..end).unwrap_or_default() {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    }

    pub(crate) fn integer(&mut self, number: i64) {
        self.number_line(b':', number);
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.integer(i64::from(flag));
    }

    /// As an integer; what is beyond an `i64` stays at its end.
    pub(crate) fn count(&mut self, count: u64) {
        self.integer(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        if self.bulk_header(bytes.len()) {
            self.bytes.extend_from_slice(bytes);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    /// What has a text, as a bulk string.
    pub(crate) fn text(&mut self, text: impl Display) {
        self.bulk(text.to_string().as_bytes());
    }

    /// A value of the store, copied once.
    pub(crate) fn value(&mut self, value: Value<'_>) {
        if self.bulk_header(value.len()) {
            let begin = self.bytes.len();
            self.bytes.resize(begin + value.len(), 0);
            value.copy_to_slice(&mut self.bytes[begin..]);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    pub(crate) fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    pub(crate) fn null(&mut self) {
        self.bytes.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// The head of an array, whose elements come next.
    pub(crate) fn array(&mut self, len: usize) {
        self.len_line(b'*', len);
    }

    /// The head of a map, whose keys and values come next.
    pub(crate) fn map(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(2 * len),
            Protocol::Resp3 => self.len_line(b'%', len),
        }
    }

    /// The head of a set, whose members come next.
    pub(crate) fn set(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(len),
            Protocol::Resp3 => self.len_line(b'~', len),
        }
    }

    /// A text for people.
    pub(crate) fn verbatim(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => {
                self.len_line(b'=', text.len() + 4);
                let _ = write!(Text(&mut self.bytes), "txt:{text}\r\n");
            }
        }
    }

    /// Elements that were written elsewhere, in the same version of the protocol.
    pub(crate) fn append(&mut self, elements: &Replies) {
        if self.has_room(elements.bytes.len()) {
            self.bytes.extend_from_slice(&elements.bytes);
        }
        self.overflown |= elements.overflown;
    }

    /// An empty collector for elements whose number is not known yet.
    pub(crate) fn aside(&self) -> Replies {
        Replies { protocol: self.protocol, ..Replies::new(self.limit) }
    }

    fn bulk_header(&mut self, len: usize) -> bool {
        let room = self.has_room(len);
        if room {
            self.len_line(b'$', len);
        }
        room
    }

    fn has_room(&mut self, len: usize) -> bool {
        self.overflown |= len > self.limit.saturating_sub(self.bytes.len());
        !self.overflown
    }

    fn line(&mut self, kind: u8, text: &str) {
        if self.has_room(text.len()) {
            self.bytes.push(kind);
            self.bytes.extend_from_slice(text.as_bytes());
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    fn len_line(&mut self, kind: u8, len: usize) {
        self.number_line(kind, len);
    }

    #[inline]
    fn number_line(&mut self, kind: u8, number: impl itoa::Integer) {
        if self.has_room(0) {
            self.bytes.push(kind);
            self.bytes.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            self.bytes.extend_from_slice(b"\r\n");
        }
    }
}

/// Formats into bytes.
struct Text<'a>(&'a mut Vec<u8>);

impl std::fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, write: impl FnOnce(&mut Replies)) -> String {
        let mut replies = Replies::new(100);
        replies.protocol = protocol;
        write(&mut replies);
        String::from_utf8(replies.bytes().to_vec()).expect("text")
    }

    #[test]
    fn both_versions() {
        let write = |replies: &mut Replies| {
            replies.map(1);
            replies.bulk(b"a");
            replies.null();
            replies.set(0);
            replies.verbatim("hi");
            replies.integer(-7);
        };
        let resp2 = "*2\r\n$1\r\na\r\n$-1\r\n*0\r\n$2\r\nhi\r\n:-7\r\n";
        assert_eq!(written(Protocol::Resp2, write), resp2);
        let resp3 = "%1\r\n$1\r\na\r\n_\r\n~0\r\n=6\r\ntxt:hi\r\n:-7\r\n";
        assert_eq!(written(Protocol::Resp3, write), resp3);
    }

    #[test]
    fn an_error_is_one_line() {
        let error = |replies: &mut Replies| replies.error("ERR a\r\nb");
        assert_eq!(written(Protocol::Resp2, error), "-ERR a  b\r\n");
    }

    #[test]
    fn the_limit_cuts_off() {
        let mut replies = Replies::new(100);
        replies.bulk(&[b'a'; 60]);
        assert!(!replies.overflown());
        replies.bulk(&[b'a'; 60]);
        assert!(replies.overflown() && replies.len() < 100);
        replies.clear(10);
        assert!(!replies.overflown() && replies.len() == 0);
    }
}
