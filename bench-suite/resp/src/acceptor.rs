//! Lets clients in, hands them to the event loops in turn, and notices when the server is to end.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::Ordering;

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

use crate::event_loop::{ACCEPTOR, Mailbox};
use crate::listener::Listener;
use crate::shared::Shared;

const REFUSED: &[u8] = b"-ERR max number of clients reached\r\n";

#[derive(Debug)]
pub(crate) struct Acceptor {
    listeners: Vec<Listener>,
    /// Has something to read when a signal has asked for the end.
    signals: UnixStream,
    loops: Vec<Mailbox>,
    turn: usize,
    /// Whether clients wait that could not be let in, for want of descriptors: no event tells when there are any.
    starved: bool,
}

impl Acceptor {
    pub(crate) fn new(
        listeners: Vec<Listener>,
        signals: UnixStream,
        loops: Vec<Mailbox>,
    ) -> Acceptor {
        Acceptor { listeners, signals, loops, turn: 0, starved: false }
    }

    pub(crate) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut self.signals, Token(ACCEPTOR), Interest::READABLE)?;
        for (listener, token) in self.listeners.iter_mut().zip(ACCEPTOR + 1..) {
            listener.register(registry, Token(token))?;
        }
        Ok(())
    }

    /// One of the sockets has something.
    pub(crate) fn handle(&mut self, token: usize, shared: &Shared) {
        if token == ACCEPTOR {
            shared.stop();
            self.loops.iter().for_each(Mailbox::wake);
        } else {
            self.accept_all(token - ACCEPTOR - 1, shared);
        }
    }

    /// Tries again where the process had no descriptor left for a client.
    pub(crate) fn retry(&mut self, shared: &Shared) {
        if !self.starved {
            return;
        }
        self.starved = false;
        for number in 0..self.listeners.len() {
            self.accept_all(number, shared);
        }
    }

    fn accept_all(&mut self, number: usize, shared: &Shared) {
        while let Some(listener) = self.listeners.get(number) {
            let mut stream = match listener.accept() {
                Ok(stream) => stream,
                // A client that is gone again, or a signal.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionAborted
                            | ErrorKind::ConnectionReset
                            | ErrorKind::Interrupted
                    ) =>
                {
                    continue;
                }
                Err(error) => {
                    self.starved |= error.kind() != ErrorKind::WouldBlock;
                    return;
                }
            };
            match shared.clients.admit(stream.address(), shared.settings.max_connections) {
                Some(id) => {
                    shared.counts.connections.fetch_add(1, Ordering::Relaxed);
                    self.turn = (self.turn + 1) % self.loops.len();
                    self.loops[self.turn].send(stream, id);
                }
                None => {
                    shared.counts.rejected.fetch_add(1, Ordering::Relaxed);
                    // A new socket has room for a line; whoever does not read it is refused all the same.
                    let _ = stream.write(REFUSED);
                }
            }
        }
    }
}
