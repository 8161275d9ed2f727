//! A server of its own for each test, and a client that shows replies as they come.
#![allow(dead_code, reason = "each test uses a part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a reply may take before a test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server, stopped at the end of the test.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) port: u16,
}

impl Server {
    /// nyala-resp on a free port.
    pub(crate) fn start(options: &[&str]) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nyala-resp"))
            .args(["--port", "0", "--memory", "64m"])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the server says where it listens");
        let address = line.split_whitespace().nth(3).expect("an address");
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
        Server { child, port: port.unwrap_or_else(|| panic!("a port in {line:?}")) }
    }

    /// redis-server on a free port; `None` if it is not installed.
    pub(crate) fn redis() -> Option<Server> {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .args(["--bind", "127.0.0.1", "--loglevel", "warning"])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let (server, begun) = (Server { child, port }, Instant::now());
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(server)
    }

    pub(crate) fn client(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        let reader = stream.try_clone().expect("a second handle");
        Client { writer: Box::new(stream), reader: BufReader::new(Box::new(reader)) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Client {
    writer: Box<dyn Write>,
    reader: BufReader<Box<dyn Read>>,
}

impl Client {
    pub(crate) fn unix(path: &std::path::Path) -> Client {
        let stream = UnixStream::connect(path).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let reader = stream.try_clone().expect("a second handle");
        Client { writer: Box::new(stream), reader: BufReader::new(Box::new(reader)) }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).expect("the server takes it");
    }

    /// Sends words as a request and answers the reply, its lines joined by spaces.
    pub(crate) fn ask(&mut self, words: &[&[u8]]) -> String {
        self.send(&request(words));
        self.reply()
    }

    /// The same with the words of a line; `''` is an empty one.
    pub(crate) fn ask_line(&mut self, line: &str) -> String {
        let words: Vec<&[u8]> =
            line.split(' ').map(|word| if word == "''" { b"" } else { word.as_bytes() }).collect();
        self.ask(&words)
    }

    /// One reply, its lines joined by spaces.
    pub(crate) fn reply(&mut self) -> String {
        let mut bytes = Vec::new();
        assert!(self.take_reply(&mut bytes), "the connection ended");
        String::from_utf8_lossy(&bytes).trim_end().replace("\r\n", " ")
    }

    /// Everything up to the end of the connection.
    pub(crate) fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset is an end, too.
        let _ = self.reader.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).trim_end().replace("\r\n", " ")
    }

    /// Appends one reply as it came; `false` at the end of the connection.
    pub(crate) fn take_reply(&mut self, bytes: &mut Vec<u8>) -> bool {
        let begin = bytes.len();
        if self.reader.read_until(b'\n', bytes).expect("a reply in time") == 0 {
            return false;
        }
        let line = std::str::from_utf8(&bytes[begin..]).expect("a line of text").trim_end();
        let number: i64 = line[1..].parse().unwrap_or(0);
        let elements = match line.as_bytes()[0] {
            b'*' | b'~' => number.max(0),
            b'%' => 2 * number,
            b'$' | b'=' if number >= 0 => {
                let mut body = vec![0; usize::try_from(number).expect("a length") + 2];
                self.reader.read_exact(&mut body).expect("a whole reply");
                assert!(body.ends_with(b"\r\n"), "a reply that does not end");
                bytes.extend_from_slice(&body);
                0
            }
            _ => 0,
        };
        (0..elements).all(|_| self.take_reply(bytes))
    }
}

/// Words as an array of bulk strings.
pub(crate) fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Whether a program can be started here.
pub(crate) fn installed(program: &str) -> bool {
    let version = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Says on the terminal, past the test harness, that something was not tested.
pub(crate) fn skipped(what: &str) {
    // A test's own output is shown only if it fails.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}
