//! Puts the server together: sockets, event loops, signals.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::thread;

use mio::net::UnixStream;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use crate::acceptor::Acceptor;
use crate::event_loop::{EventLoop, Mailbox};
use crate::listener::Listener;
use crate::shared::{Settings, Shared};

/// Why the server cannot start or go on.
#[derive(Debug)]
pub(crate) struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn fault(what: impl fmt::Display) -> impl FnOnce(io::Error) -> Fault {
    move |error| Fault(format!("{what}: {error}"))
}

/// Ends all event loops when one of them ends, in whatever way.
struct EndOfAll<'a> {
    shared: &'a Shared,
    mailboxes: &'a [Mailbox],
}

impl Drop for EndOfAll<'_> {
    fn drop(&mut self) {
        self.shared.stop();
        self.mailboxes.iter().for_each(Mailbox::wake);
    }
}

/// A server that listens and serves nobody yet.
pub(crate) struct Server {
    shared: Arc<Shared>,
    loops: Vec<EventLoop>,
    addresses: Vec<String>,
}

impl Server {
    pub(crate) fn bind(settings: Settings) -> Result<Server, Fault> {
        let shared = Shared::open(settings).map_err(|error| Fault(error.to_string()))?;
        let shared = Arc::new(shared);
        let listeners = listeners(&shared)?;
        let addresses = listeners.iter().map(Listener::address).collect();
        let mut loops = Vec::new();
        for _ in 0..shared.settings.threads {
            loops.push(EventLoop::new(Arc::clone(&shared)).map_err(fault("no event loop"))?);
        }
        let signals = signals().map_err(fault("no notice of signals"))?;
        let mailboxes = loops.iter().map(EventLoop::mailbox).collect();
        if let Some(first) = loops.first_mut() {
            let acceptor = Acceptor::new(listeners, signals, mailboxes);
            first.accept_through(acceptor).map_err(fault("cannot wait for clients"))?;
        }
        Ok(Server { shared, loops, addresses })
    }

    /// Where it listens, for people: the TCP address first.
    pub(crate) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Serves until SIGINT or SIGTERM.
    pub(crate) fn run(self) -> Result<(), Fault> {
        let mailboxes: Vec<Mailbox> = self.loops.iter().map(EventLoop::mailbox).collect();
        let (shared, mailboxes) = (&*self.shared, &mailboxes[..]);
        let serve = |mut event_loop: EventLoop| {
            let _end = EndOfAll { shared, mailboxes };
            event_loop.run()
        };
        thread::scope(|scope| {
            let mut loops = self.loops.into_iter();
            // The first one, which accepts, stays in this thread.
            let first = loops.next();
            let others: Vec<_> = loops.map(|other| scope.spawn(move || serve(other))).collect();
            let outcome = first.map_or(Ok(()), serve);
            for other in others {
                match other.join() {
                    Ok(outcome) => outcome.map_err(fault("an event loop ended"))?,
                    Err(_) => return Err(Fault("an event loop panicked".to_owned())),
                }
            }
            outcome.map_err(fault("the event loop ended"))
        })
    }
}

fn listeners(shared: &Shared) -> Result<Vec<Listener>, Fault> {
    let address = SocketAddr::new(shared.settings.bind, shared.settings.port);
    let tcp = Listener::tcp(address).map_err(fault(format_args!("cannot listen on {address}")))?;
    shared.set_tcp_port(tcp.port().unwrap_or(0));
    let mut listeners = vec![tcp];
    if let Some(path) = &shared.settings.unix {
        let what = format!("cannot listen on {}", path.display());
        listeners.push(Listener::unix(path).map_err(fault(what))?);
    }
    Ok(listeners)
}

/// A socket that has something to read once a signal has asked for the end.
fn signals() -> io::Result<UnixStream> {
    let (reader, writer) = StdUnixStream::pair()?;
    reader.set_nonblocking(true)?;
    pipe::register(SIGINT, writer.try_clone()?)?;
    pipe::register(SIGTERM, writer)?;
    Ok(UnixStream::from_std(reader))
}
