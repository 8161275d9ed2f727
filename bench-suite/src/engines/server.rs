//! A server that is measured: a process of our own, with a TCP port and a Unix socket, stopped with us.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use super::resp::{Address, Client, Reply};
use super::way::Transport;
use crate::fault::{Context, Fault, Result};
use crate::files::scratch::Scratch;

/// Bytes that the path of a Unix socket may have, its end included, in any system.
const SOCKET_PATH_LEN: usize = 104;

/// What a server is, for tables.
#[derive(Debug, Clone)]
pub(crate) struct About {
    /// Rows begin with it.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// How it was started.
    pub(crate) setting: String,
    /// Whether it is this program.
    pub(crate) ours: bool,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(super) child: Child,
    pub(super) port: u16,
    pub(super) socket: Option<Socket>,
    pub(super) about: About,
}

impl Server {
    pub(crate) fn about(&self) -> &About {
        &self.about
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.about.ours
    }

    pub(crate) fn connect(&self, transport: Transport) -> Result<Client> {
        Client::connect(&match (transport, &self.socket) {
            (Transport::Tcp, _) => Address::Tcp(self.port),
            (Transport::Unix, Some(socket)) => Address::Unix(socket.path.clone()),
            (Transport::Unix, None) => {
                return Err(Fault::new(format!("{} has no Unix socket", self.about.title)));
            }
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// A line of what the server tells of itself.
    pub(crate) fn info(&self, name: &str) -> Result<String> {
        let mut client = self.connect(Transport::Tcp)?;
        client.command(&[b"INFO", b"server"]);
        client.send()?;
        let Reply::Bulk(Some(at)) = client.reply()? else {
            return Err(Fault::new(format!("{} gave no INFO", self.about.title)));
        };
        let info = String::from_utf8_lossy(client.bytes(at)).into_owned();
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.unwrap_or("unknown").trim().to_owned())
    }

    /// Lets it end by itself, its log synced.
    pub(crate) fn shut_down(mut self) -> Result<()> {
        let mut client = self.connect(Transport::Tcp)?;
        client.command(&[b"SHUTDOWN"]);
        client.send()?;
        let title = self.about.title;
        self.child.wait().context(|| format!("{title} did not shut down")).map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It holds nothing worth a clean end; a failure means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A path for a Unix socket in a folder of our own, which goes with it, and at the latest with the next run.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) path: PathBuf,
    _folder: Scratch,
}

impl Socket {
    pub(crate) fn new() -> Result<Socket> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("socket-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = Scratch::below(&std::env::temp_dir(), &name)?;
        let path = folder.path().join("server");
        if path.as_os_str().len() < SOCKET_PATH_LEN {
            return Ok(Socket { path, _folder: folder });
        }
        Err(Fault::new(format!(
            "the path of a Unix socket has fewer than {SOCKET_PATH_LEN} bytes, but {} has {}; set TMPDIR to a shorter one",
            path.display(),
            path.as_os_str().len()
        )))
    }
}

/// Lets the kernel end the server when the thread that starts it dies, killed or not, so that no run leaves a server behind.
pub(super) fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    let ask = move || {
        // SAFETY: between fork and exec only async-signal-safe calls are allowed, and prctl is a plain system call.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
        // A parent that died before that sends no signal any more; another process has taken its place.
        // SAFETY: a plain system call as well.
        let orphaned = unsafe { libc::getppid() }.cast_unsigned() != parent;
        if orphaned { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(()) }
    };
    // SAFETY: the closure allocates nothing, takes no lock and touches no memory of the parent.
    unsafe { command.pre_exec(ask) };
}
