//! One client: its socket, what it has sent of a request that is not whole yet, and replies that it has not taken.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;

use crate::parser::Parser;
use crate::pipeline::{self, Progress};
use crate::reply::Replies;
use crate::session::Session;
use crate::shared::Shared;
use crate::stream::Stream;

/// Bytes that one read takes in; also the most that is looked at before replies are sent.
pub(crate) const READ_LEN: usize = 64 << 10;
/// Reads of one connection before the others have their turn.
const READS_IN_A_ROW: usize = 16;
/// Room for more of a request that came in part: at least and at most.
const MORE_LEN: (usize, usize) = (16 << 10, 1 << 20);
/// Memory for replies that is kept for the next.
const KEPT_REPLIES: usize = 1 << 20;

/// What an event loop lends to the connection that it serves.
#[derive(Debug)]
pub(crate) struct Workspace {
    input: Vec<u8>,
    replies: Replies,
}

impl Workspace {
    pub(crate) fn new(shared: &Shared) -> Workspace {
        Workspace { input: vec![0; READ_LEN], replies: Replies::new(shared.settings.output_buffer) }
    }
}

/// What is to become of a connection that was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It has taken what there was.
    Wait,
    /// There may be more, which no event will tell.
    Again,
    Close,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    pub(crate) session: Session,
    parser: Parser,
    /// The beginning of a request.
    pending: Vec<u8>,
    /// Replies that the socket did not take, from `sent` on.
    backlog: Vec<u8>,
    sent: usize,
    /// The client sends nothing more.
    pub(crate) ended: bool,
    /// The client takes nothing more.
    pub(crate) gone: bool,
    /// Whether the event loop looks for room in the socket.
    pub(crate) awaits_room: bool,
}

impl Connection {
    pub(crate) fn new(stream: Stream, session: Session, shared: &Shared) -> Connection {
        Connection {
            stream,
            session,
            parser: Parser::new(shared.request_limits()),
            pending: Vec::new(),
            backlog: Vec::new(),
            sent: 0,
            ended: false,
            gone: false,
            awaits_room: false,
        }
    }

    /// Takes what the client has sent and answers it.
    ///
    /// A read that leaves room in the buffer has emptied the socket, and the next bytes will be an event (epoll(7)); only
    /// an end that came together with the last bytes has to be read for.
    pub(crate) fn serve(&mut self, space: &mut Workspace, shared: &Shared) -> Next {
        for _ in 0..READS_IN_A_ROW {
            if self.session.closing {
                return self.close_when_sent();
            }
            let (count, room) = match self.receive(space, shared) {
                Ok((0, _)) => {
                    self.session.closing = true;
                    return self.close_when_sent();
                }
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Next::Wait,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Next::Close,
            };
            if count < room && !self.ended && !self.session.closing {
                return Next::Wait;
            }
        }
        Next::Again
    }

    /// Reads once and runs what has come; answers how many bytes that were, of how many there was room for.
    fn receive(&mut self, space: &mut Workspace, shared: &Shared) -> io::Result<(usize, usize)> {
        if self.pending.is_empty() {
            let count = self.stream.read(&mut space.input)?;
            let input = &space.input[..count];
            let consumed = self.run(input, &mut space.replies, shared)?;
            self.pending.extend_from_slice(&input[consumed..]);
            return Ok((count, space.input.len()));
        }
        let old = self.pending.len();
        let room = self.parser.awaited(old).clamp(MORE_LEN.0, MORE_LEN.1);
        self.pending.resize(old + room, 0);
        let outcome = self.stream.read(&mut self.pending[old..]);
        self.pending.truncate(old + *outcome.as_ref().unwrap_or(&0));
        let count = outcome?;
        let mut input = mem::take(&mut self.pending);
        let consumed = self.run(&input, &mut space.replies, shared)?;
        input.drain(..consumed);
        if input.is_empty() {
            input.shrink_to(MORE_LEN.0);
        }
        self.pending = input;
        Ok((count, room))
    }

    /// Runs the whole requests of an input, sends the replies, and answers how far it got.
    fn run(&mut self, input: &[u8], replies: &mut Replies, shared: &Shared) -> io::Result<usize> {
        let mut at = 0;
        loop {
            let Progress { consumed, paused } = pipeline::execute(
                &input[at..],
                &mut self.parser,
                &mut self.session,
                shared,
                replies,
            );
            at += consumed;
            let outcome = self.send(replies, shared);
            replies.clear(KEPT_REPLIES);
            outcome?;
            if !paused || self.session.closing {
                return Ok(at);
            }
        }
    }

    /// Sends replies, behind those that wait already.
    fn send(&mut self, replies: &Replies, shared: &Shared) -> io::Result<()> {
        if replies.overflown() {
            return Err(ErrorKind::OutOfMemory.into());
        }
        let mut bytes = replies.bytes();
        if self.is_sent() {
            bytes = &bytes[write_some(&mut self.stream, bytes)?..];
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if self.backlog.len() - self.sent + bytes.len() > shared.settings.output_buffer {
            return Err(ErrorKind::OutOfMemory.into());
        }
        self.backlog.extend_from_slice(bytes);
        Ok(())
    }

    /// Sends what waits, since the socket has room again.
    pub(crate) fn send_backlog(&mut self) -> Next {
        match write_some(&mut self.stream, &self.backlog[self.sent..]) {
            Ok(count) => self.sent += count,
            Err(_) => return Next::Close,
        }
        if self.is_sent() {
            (self.backlog, self.sent) = (Vec::new(), 0);
            return self.close_when_sent();
        }
        // What is sent goes when it is more than what waits, so that no byte is moved more than once.
        if self.sent > self.backlog.len() / 2 {
            self.backlog.drain(..self.sent);
            self.sent = 0;
        }
        Next::Wait
    }

    /// Whether the socket has taken all replies.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent == self.backlog.len()
    }

    fn close_when_sent(&self) -> Next {
        if self.session.closing && (self.is_sent() || self.gone) { Next::Close } else { Next::Wait }
    }
}

/// Writes until the socket takes no more; answers how much it took.
fn write_some(stream: &mut Stream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}
