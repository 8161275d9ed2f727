//! A Redis server of our own: started on a free loopback port, without persistence or with a log in a folder, and stopped with us.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::contract::{Durability, Home};
use super::resp::{Client, Reply};
use crate::fault::{Context, Fault, Result};

/// What the server is told beyond its defaults; printed in the report.
pub(crate) const ARGUMENTS: [&str; 6] = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"];

/// What it is told of its log in a durability class.
pub(crate) fn appending(durability: Durability) -> [&'static str; 8] {
    let sync = match durability {
        Durability::D0 | Durability::D1 => "no",
        Durability::D2 => "everysec",
        Durability::D3 => "always",
    };
    ["--save", "", "--appendonly", "yes", "--appendfsync", sync, "--bind", "127.0.0.1"]
}

/// Reading a log of a million entries takes seconds.
const START_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
}

/// Whether the program is there to be started.
pub(crate) fn available() -> Result<()> {
    let found = Command::new("redis-server")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match found {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Fault::new(
            "redis-server is not installed; `apt-get install redis-server` brings it",
        )),
    }
}

impl Server {
    /// Without a home nothing is kept.
    pub(crate) fn start(home: Option<&Home>) -> Result<Server> {
        // The port may be taken between asking for it and binding it: then the next try asks for another.
        let mut last = Fault::new("redis-server did not start");
        for _ in 0..5 {
            match Server::start_once(home) {
                Ok(server) => return Ok(server),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    fn start_once(home: Option<&Home>) -> Result<Server> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .context(|| "no free port on 127.0.0.1".to_owned())?
            .port();
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--daemonize", "no", "--loglevel", "warning"])
            .current_dir(home.map_or_else(std::env::temp_dir, |home| home.folder.clone()))
            // A tunable for glibc's malloc is not Redis's default: the server runs as its package runs it.
            .env_remove("GLIBC_TUNABLES")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match home {
            Some(home) => command.args(appending(home.durability)),
            None => command.args(ARGUMENTS),
        };
        die_with_parent(&mut command);
        let child = command.spawn().context(|| "cannot start redis-server".to_owned())?;
        let mut server = Server { child, port };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Fault::new(format!("redis-server ended at once with {status}")));
            }
            if let Ok(mut client) = Client::connect(self.port) {
                client.command(&[b"PING"]);
                client.send()?;
                // An error says that it still reads its log.
                if client.reply().is_ok() {
                    return Ok(());
                }
            }
            if started.elapsed() > START_LIMIT {
                return Err(Fault::new(format!(
                    "redis-server gave no answer within {} s",
                    START_LIMIT.as_secs()
                )));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets it end by itself, its log synced.
    pub(crate) fn shut_down(mut self) -> Result<()> {
        let mut client = Client::connect(self.port)?;
        client.command(&[b"SHUTDOWN"]);
        client.send()?;
        self.child.wait().context(|| "redis-server did not shut down".to_owned()).map(drop)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn version(&self) -> Result<String> {
        let mut client = Client::connect(self.port)?;
        client.command(&[b"INFO", b"server"]);
        client.send()?;
        let Reply::Bulk(Some(at)) = client.reply()? else {
            return Err(Fault::new("Redis gave no INFO"));
        };
        let info = String::from_utf8_lossy(client.bytes(at)).into_owned();
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(version.unwrap_or("unknown").trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It holds nothing worth a clean end; a failure means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets the kernel end the server when this process dies, killed or not, so that no run leaves a server behind.
fn die_with_parent(command: &mut Command) {
    let ask = || {
        // SAFETY: between fork and exec only async-signal-safe calls are allowed, and prctl is a plain system call.
        let outcome = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        if outcome == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: the closure allocates nothing, takes no lock and touches no memory of the parent.
    unsafe { command.pre_exec(ask) };
}
