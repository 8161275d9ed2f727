//! One thread's loop: waits for its sockets, serves those that have something, and lets the store tidy up when nobody does.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;

use crate::acceptor::Acceptor;
use crate::clock;
use crate::connection::{Connection, Next, Workspace};
use crate::session::Session;
use crate::shared::Shared;
use crate::stream::Stream;

/// Events that are taken from the system at once.
const EVENTS: usize = 1024;
/// How long the store may tidy up when no client wants anything.
const UPKEEP: Duration = Duration::from_millis(1);
/// After how long without clients that happens again: while something is left to do, and else.
const UPKEEP_AGAIN: Duration = Duration::from_millis(10);
const UPKEEP_LATER: Duration = Duration::from_millis(500);

/// Tokens from here on are not connections.
const FIRST_SPECIAL: usize = usize::MAX - 16;
const MAILBOX: Token = Token(FIRST_SPECIAL);
/// Where the acceptor's sockets begin.
pub(crate) const ACCEPTOR: usize = FIRST_SPECIAL + 1;

/// Brings a connection that was accepted elsewhere to an event loop.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    sender: Sender<(Stream, u64)>,
    waker: Arc<Waker>,
}

impl Mailbox {
    /// Hands over a connection with its number.
    pub(crate) fn send(&self, stream: Stream, id: u64) {
        // An event loop that has ended serves nobody: the connection closes.
        let _ = self.sender.send((stream, id));
        self.wake();
    }

    pub(crate) fn wake(&self) {
        let _ = self.waker.wake();
    }
}

#[derive(Debug)]
pub(crate) struct EventLoop {
    poll: Poll,
    shared: Arc<Shared>,
    connections: Slab<Connection>,
    workspace: Workspace,
    /// Connections that may have more, in the order of their turns.
    again: VecDeque<usize>,
    inbox: Receiver<(Stream, u64)>,
    mailbox: Mailbox,
    /// One of the event loops lets clients in, and looks after the store.
    acceptor: Option<Acceptor>,
}

impl EventLoop {
    pub(crate) fn new(shared: Arc<Shared>) -> io::Result<EventLoop> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), MAILBOX)?);
        let (sender, inbox) = mpsc::channel();
        Ok(EventLoop {
            poll,
            workspace: Workspace::new(&shared),
            shared,
            connections: Slab::new(),
            again: VecDeque::new(),
            inbox,
            mailbox: Mailbox { sender, waker },
            acceptor: None,
        })
    }

    pub(crate) fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }

    /// Lets clients in through this event loop.
    pub(crate) fn accept_through(&mut self, mut acceptor: Acceptor) -> io::Result<()> {
        acceptor.register(self.poll.registry())?;
        self.acceptor = Some(acceptor);
        Ok(())
    }

    /// Serves until the server is asked to stop.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut upkeep_after = UPKEEP_LATER;
        while !self.shared.stopping() {
            let timeout = match (self.again.is_empty(), &self.acceptor) {
                (false, _) => Some(Duration::ZERO),
                (true, Some(_)) => Some(upkeep_after),
                (true, None) => None,
            };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                outcome => outcome?,
            }
            if events.is_empty() && self.again.is_empty() {
                upkeep_after = self.upkeep();
            }
            if let Some(acceptor) = &mut self.acceptor {
                acceptor.retry(&self.shared);
            }
            for event in &events {
                self.handle(event);
            }
            for _ in 0..self.again.len() {
                if let Some(index) = self.again.pop_front() {
                    self.serve(index);
                }
            }
        }
        Ok(())
    }

    fn handle(&mut self, event: &Event) {
        match event.token() {
            MAILBOX => {
                while let Ok((stream, id)) = self.inbox.try_recv() {
                    self.take_in(stream, id);
                }
            }
            Token(token) if token >= ACCEPTOR => {
                if let Some(mut acceptor) = self.acceptor.take() {
                    acceptor.handle(token, &self.shared);
                    self.acceptor = Some(acceptor);
                }
            }
            Token(index) => {
                if event.is_writable() {
                    self.send_backlog(index);
                }
                if let Some(connection) = self.connections.get_mut(index) {
                    connection.ended |= event.is_read_closed() || event.is_error();
                    connection.gone |= event.is_write_closed() || event.is_error();
                    if event.is_readable() || connection.ended {
                        self.serve(index);
                    }
                }
            }
        }
    }

    fn take_in(&mut self, stream: Stream, id: u64) {
        let mut connection = Connection::new(stream, Session::new(id), &self.shared);
        let entry = self.connections.vacant_entry();
        let token = Token(entry.key());
        match self.poll.registry().register(&mut connection.stream, token, Interest::READABLE) {
            Ok(()) => drop(entry.insert(connection)),
            Err(_) => self.shared.clients.remove(id),
        }
    }

    /// Serves a connection, if it is still there.
    fn serve(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        let next = connection.serve(&mut self.workspace, &self.shared);
        self.settle(index, next);
    }

    fn send_backlog(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        let next = connection.send_backlog();
        self.settle(index, next);
    }

    /// Looks for room in a socket while replies wait, and only then: a Unix socket would tell of room after each reply.
    fn settle(&mut self, index: usize, next: Next) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        let mut close = next == Next::Close;
        if !close && connection.awaits_room == connection.is_sent() {
            connection.awaits_room = !connection.awaits_room;
            let interest = match connection.awaits_room {
                true => Interest::READABLE | Interest::WRITABLE,
                false => Interest::READABLE,
            };
            let registry = self.poll.registry();
            close = registry.reregister(&mut connection.stream, Token(index), interest).is_err();
        }
        if close {
            let mut connection = self.connections.remove(index);
            // Dropping the socket would do as well.
            let _ = self.poll.registry().deregister(&mut connection.stream);
            self.shared.clients.remove(connection.session.id);
        } else if next == Next::Again && !self.again.contains(&index) {
            self.again.push_back(index);
        }
    }

    /// Gives the store a moment, and answers when to come again.
    fn upkeep(&mut self) -> Duration {
        if self.acceptor.is_none() {
            return UPKEEP_LATER;
        }
        clock::begin_command();
        match self.shared.store.maintain(UPKEEP) {
            Ok(left) if left.bytes > 0 => UPKEEP_AGAIN,
            _ => UPKEEP_LATER,
        }
    }
}
