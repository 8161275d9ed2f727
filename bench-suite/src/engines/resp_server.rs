//! Our store behind our own RESP front end, in a process of its own as Redis is: this program again, which calls the library
//! of `nyala-resp`, so that nothing has to be built or found beside it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::server::{About, Server, Socket, die_with_parent};
use crate::fault::{Context, Fault, Result};

/// The hidden subcommand; what follows is for `nyala-resp`.
const SERVE: &str = "__serve";

/// The arguments of `nyala-resp`, if this process is to be the server.
pub(crate) fn asked_to_serve() -> Option<impl Iterator<Item = OsString>> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == SERVE).then_some(arguments)
}

/// Starts one whose store may take `budget_bytes`.
pub(crate) fn start(budget_bytes: u64) -> Result<Server> {
    let socket = Socket::new()?;
    let program =
        std::env::current_exe().context(|| "cannot find this program's own file".to_owned())?;
    let mut command = Command::new(program);
    command
        .args([SERVE, "--port", "0", "--memory", &budget_bytes.to_string(), "--unix"])
        .arg(&socket.path)
        // As Redis runs: the allocator's huge pages are for measuring processes, and the store asks for its own.
        .env_remove("GLIBC_TUNABLES")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    die_with_parent(&mut command);
    let child = command.spawn().context(|| "cannot start nyala-resp".to_owned())?;
    let about = About {
        name: "nyala-resp",
        title: "Nyala behind RESP",
        setting: "nyala-resp --memory N, N twice the live data, one event loop; everything else as shipped".to_owned(),
        ours: true,
    };
    let mut server = Server { child, port: 0, socket: Some(socket), about };
    server.port = announced_port(&mut server)?;
    Ok(server)
}

/// The port in the one line that it prints once it listens, of the form `nyala-resp listens on 127.0.0.1:6380 and PATH`.
fn announced_port(server: &mut Server) -> Result<u16> {
    let mut line = String::new();
    if let Some(output) = server.child.stdout.take() {
        BufReader::new(output)
            .read_line(&mut line)
            .context(|| "cannot read from nyala-resp".to_owned())?;
    }
    let address = line.split_whitespace().nth(3).and_then(|address| address.rsplit(':').next());
    address
        .and_then(|port| port.parse().ok())
        .ok_or_else(|| Fault::new(format!("nyala-resp did not say where it listens: {line:?}")))
}
