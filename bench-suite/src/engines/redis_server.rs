//! redis-server, started on a free loopback port and a Unix socket, without persistence or with a log in a folder.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::contract::{Durability, Home};
use super::resp::Reply;
use super::server::{About, Server, Socket, die_with_parent};
use super::way::Transport;
use crate::fault::{Context, Fault, Result};

/// What the server is told beyond its defaults; printed in the report.
const ARGUMENTS: [&str; 6] = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"];

/// What it is told of its log in a durability class.
fn appending(durability: Durability) -> [&'static str; 8] {
    let sync = match durability {
        Durability::D0 | Durability::D1 => "no",
        Durability::D2 => "everysec",
        Durability::D3 => "always",
    };
    ["--save", "", "--appendonly", "yes", "--appendfsync", sync, "--bind", "127.0.0.1"]
}

/// Reading a log of a million entries takes seconds.
const START_LIMIT: Duration = Duration::from_secs(60);

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

/// Without a home nothing is kept.
pub(crate) fn start(home: Option<&Home>) -> Result<Server> {
    // The port may be taken between asking for it and binding it: then the next try asks for another.
    let mut last = Fault::new("redis-server did not start");
    for _ in 0..5 {
        match start_once(home) {
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
    let arguments = match home {
        Some(home) => appending(home.durability).to_vec(),
        None => ARGUMENTS.to_vec(),
    };
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &port.to_string(), "--daemonize", "no", "--loglevel", "warning"])
        .args(&arguments)
        .current_dir(home.map_or_else(std::env::temp_dir, |home| home.folder.clone()))
        // A tunable for glibc's malloc is not Redis's default: the server runs as its package runs it.
        .env_remove("GLIBC_TUNABLES")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // In files it is asked over TCP alone.
    let socket = if home.is_none() { Some(Socket::new()?) } else { None };
    if let Some(socket) = &socket {
        command.arg("--unixsocket").arg(&socket.path).args(["--unixsocketperm", "700"]);
    }
    die_with_parent(&mut command);
    let child = command.spawn().context(|| "cannot start redis-server".to_owned())?;
    let about = About { name: "redis", title: "Redis", setting: setting(&arguments), ours: false };
    let mut server = Server { child, port, socket, about };
    wait_until_ready(&mut server)?;
    Ok(server)
}

fn setting(arguments: &[&str]) -> String {
    let quoted: Vec<&str> = arguments
        .iter()
        .map(|argument| if argument.is_empty() { "''" } else { *argument })
        .collect();
    format!("redis-server {}; everything else as shipped; no memory limit", quoted.join(" "))
}

fn wait_until_ready(server: &mut Server) -> Result<()> {
    let started = Instant::now();
    loop {
        if let Ok(Some(status)) = server.child.try_wait() {
            return Err(Fault::new(format!("redis-server ended at once with {status}")));
        }
        if answers(server).is_ok_and(|answers| answers) {
            // Somebody else's server may have taken the port.
            let process = server.info("process_id")?;
            return if process == server.process().to_string() {
                Ok(())
            } else {
                Err(Fault::new(format!("port {} is that of another server", server.port())))
            };
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

/// An error, which is a fault, says that it still reads its log.
fn answers(server: &Server) -> Result<bool> {
    let mut client = server.connect(Transport::Tcp)?;
    client.command(&[b"PING"]);
    client.send()?;
    client.reply().map(|reply| matches!(reply, Reply::Simple(_)))
}
