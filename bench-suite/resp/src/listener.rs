//! Where clients come in: a TCP port of this machine, and a Unix socket if it is asked for.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};

use crate::stream::Stream;

#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    pub(crate) fn tcp(address: SocketAddr) -> io::Result<Listener> {
        Ok(Listener::Tcp(TcpListener::bind(address)?))
    }

    /// A socket that its owner alone may use. What a server left there that has ended is replaced.
    pub(crate) fn unix(path: &Path) -> io::Result<Listener> {
        let left_behind = fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket())
            && StdUnixStream::connect(path)
                .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
        if left_behind {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        // From here on its end removes the path.
        let listener = Listener::Unix(listener, path.to_owned());
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
        Ok(listener)
    }

    /// The next client, if one waits.
    pub(crate) fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                // A reply is sent when it is whole: waiting for more would only delay it. A client that is gone again
                // is noticed when it is read from.
                let _ = stream.set_nodelay(true);
                Ok(Stream::Tcp(stream))
            }
            Listener::Unix(listener, _) => Ok(Stream::Unix(listener.accept()?.0)),
        }
    }

    /// The bound port, of TCP.
    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Listener::Unix(..) => None,
        }
    }

    /// Where it listens, for people.
    pub(crate) fn address(&self) -> String {
        match self {
            Listener::Tcp(listener) => {
                listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
            }
            Listener::Unix(_, path) => path.display().to_string(),
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) => listener.register(registry, token, Interest::READABLE),
            Listener::Unix(listener, _) => listener.register(registry, token, Interest::READABLE),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self {
            // Whoever removed it before us did our work.
            let _ = fs::remove_file(path);
        }
    }
}
