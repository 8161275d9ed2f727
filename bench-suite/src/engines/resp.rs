//! The Redis protocol as its client speaks it: requests built in one buffer and sent with one write, replies found where they
//! lie in the receive buffer, with no allocation and no copy but the one into the caller's buffer.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::fault::{Context, Fault, Result};

/// One reply; byte strings are positions in the buffer that was parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Simple(Range<usize>),
    Error(Range<usize>),
    Integer(i64),
    /// `None` is the reply for a missing key.
    Bulk(Option<Range<usize>>),
    /// That many replies follow.
    Array(usize),
}

/// The reply that starts at `from` and the position after it; `None` while bytes are missing.
#[inline]
pub(crate) fn parse(buffer: &[u8], from: usize) -> Result<Option<(Reply, usize)>> {
    let Some(&kind) = buffer.get(from) else {
        return Ok(None);
    };
    let line_start = from + 1;
    let Some(length) = buffer[line_start..].windows(2).position(|pair| pair == b"\r\n") else {
        return Ok(None);
    };
    let line = line_start..line_start + length;
    let after = line.end + 2;
    let reply = match kind {
        b'+' => Reply::Simple(line),
        b'-' => Reply::Error(line),
        b':' => Reply::Integer(number(&buffer[line])?),
        b'*' => Reply::Array(usize::try_from(number(&buffer[line])?).unwrap_or(0)),
        b'$' => {
            let Ok(length) = usize::try_from(number(&buffer[line])?) else {
                return Ok(Some((Reply::Bulk(None), after)));
            };
            let Some(end) = after.checked_add(length).and_then(|end| end.checked_add(2)) else {
                return Err(Fault::new(format!("the server announced a string of {length} bytes")));
            };
            if buffer.len() < end {
                return Ok(None);
            }
            return Ok(Some((Reply::Bulk(Some(after..end - 2)), end)));
        }
        other => {
            return Err(Fault::new(format!(
                "the server sent a reply that starts with byte {other:#04x}"
            )));
        }
    };
    Ok(Some((reply, after)))
}

#[inline]
fn number(digits: &[u8]) -> Result<i64> {
    let (negative, digits) = match digits {
        [b'-', rest @ ..] => (true, rest),
        all => (false, all),
    };
    let wrong = || {
        Fault::new(format!(
            "the server sent {:?} where a number belongs",
            String::from_utf8_lossy(digits)
        ))
    };
    if digits.is_empty() {
        return Err(wrong());
    }
    let mut sum = 0_i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(wrong());
        }
        sum = sum
            .checked_mul(10)
            .and_then(|sum| sum.checked_add(i64::from(digit - b'0')))
            .ok_or_else(wrong)?;
    }
    Ok(if negative { -sum } else { sum })
}

/// Where a server listens.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    /// A port of 127.0.0.1.
    Tcp(u16),
    Unix(PathBuf),
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn connect(address: &Address) -> Result<Stream> {
        match address {
            Address::Tcp(port) => {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port))
                    .context(|| format!("cannot connect to 127.0.0.1:{port}"))?;
                stream
                    .set_nodelay(true)
                    .context(|| "cannot switch Nagle's algorithm off".to_owned())?;
                Ok(Stream::Tcp(stream))
            }
            Address::Unix(path) => UnixStream::connect(path)
                .map(Stream::Unix)
                .context(|| format!("cannot connect to {}", path.display())),
        }
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    #[inline]
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(into),
            Stream::Unix(stream) => stream.read(into),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: Stream,
    request: Vec<u8>,
    received: Vec<u8>,
    filled: usize,
    parsed: usize,
}

impl Client {
    pub(crate) fn connect(address: &Address) -> Result<Client> {
        let stream = Stream::connect(address)?;
        Ok(Client {
            stream,
            request: Vec::with_capacity(1 << 16),
            received: vec![0; 1 << 16],
            filled: 0,
            parsed: 0,
        })
    }

    /// Adds a command to the request that `send` will write.
    #[inline]
    pub(crate) fn command(&mut self, parts: &[&[u8]]) {
        self.header(b'*', parts.len());
        for part in parts {
            self.argument(part);
        }
    }

    /// Starts a command of `parts` arguments, its name included, which the caller adds.
    #[inline]
    pub(crate) fn header(&mut self, kind: u8, mut number: usize) {
        let mut digits = [0_u8; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.request.push(kind);
        self.request.extend_from_slice(&digits[first..]);
        self.request.extend_from_slice(b"\r\n");
    }

    #[inline]
    pub(crate) fn argument(&mut self, bytes: &[u8]) {
        self.header(b'$', bytes.len());
        self.request.extend_from_slice(bytes);
        self.request.extend_from_slice(b"\r\n");
    }

    #[inline]
    pub(crate) fn send(&mut self) -> Result<()> {
        self.stream.write_all(&self.request).context(|| "cannot write to the server".to_owned())?;
        self.request.clear();
        Ok(())
    }

    /// The next reply, waited for; an error reply is a fault. Its bytes stay valid until the next call.
    #[inline]
    pub(crate) fn reply(&mut self) -> Result<Reply> {
        loop {
            if let Some((reply, end)) = parse(&self.received[..self.filled], self.parsed)? {
                self.parsed = end;
                if let Reply::Error(text) = reply {
                    let text = String::from_utf8_lossy(&self.received[text]).into_owned();
                    return Err(Fault::new(format!("the server answered: {text}")));
                }
                return Ok(reply);
            }
            self.fill()?;
        }
    }

    pub(crate) fn bytes(&self, at: Range<usize>) -> &[u8] {
        &self.received[at]
    }

    fn fill(&mut self) -> Result<()> {
        if self.parsed > 0 {
            self.received.copy_within(self.parsed..self.filled, 0);
            self.filled -= self.parsed;
            self.parsed = 0;
        }
        if self.filled == self.received.len() {
            self.received.resize(self.filled * 2, 0);
        }
        let read = self
            .stream
            .read(&mut self.received[self.filled..])
            .context(|| "cannot read from the server".to_owned())?;
        if read == 0 {
            return Err(Fault::new("the server closed the connection"));
        }
        self.filled += read;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Vec<Reply> {
        let mut at = 0;
        let mut replies = Vec::new();
        while let Ok(Some((reply, end))) = parse(bytes, at) {
            replies.push(reply);
            at = end;
        }
        assert_eq!(at, bytes.len());
        replies
    }

    #[test]
    fn reads_every_kind_of_reply() {
        let bytes = b"+OK\r\n-ERR no\r\n:-12\r\n$3\r\na\r\n\r\n$-1\r\n*2\r\n$0\r\n\r\n";
        assert_eq!(
            whole(bytes),
            [
                Reply::Simple(1..3),
                Reply::Error(6..12),
                Reply::Integer(-12),
                Reply::Bulk(Some(24..27)),
                Reply::Bulk(None),
                Reply::Array(2),
                Reply::Bulk(Some(42..42)),
            ]
        );
        assert_eq!(&bytes[24..27], b"a\r\n");
    }

    #[test]
    fn waits_at_every_cut() {
        for bytes in
            [b"$5\r\nhello\r\n".as_slice(), b"+OK\r\n", b":1234\r\n", b"$-1\r\n", b"*32\r\n"]
        {
            for cut in 0..bytes.len() {
                assert_eq!(
                    parse(&bytes[..cut], 0),
                    Ok(None),
                    "{:?}",
                    String::from_utf8_lossy(&bytes[..cut])
                );
            }
            assert!(matches!(parse(bytes, 0), Ok(Some((_, end))) if end == bytes.len()));
        }
    }

    #[test]
    fn refuses_what_is_no_reply() {
        for bytes in [
            b"hello\r\n".as_slice(),
            b":12a\r\n",
            b":\r\n",
            b"$99999999999999999999\r\n",
            b"$9223372036854775807\r\n\r\n",
        ] {
            let outcome = parse(bytes, 0);
            assert!(
                outcome.is_err() || outcome == Ok(None),
                "{:?} gave {outcome:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
