//! Sockets: pipelines, pieces, limits, noise, and the end.
#![forbid(unsafe_code)]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Client, Server, request};

#[test]
fn a_pipeline_is_answered_in_order() {
    let server = Server::start(&["--threads", "2"]);
    let mut client = server.client();
    let (mut sent, mut expected) = (Vec::new(), Vec::new());
    for number in 0..5000_u32 {
        let (key, value) = (format!("key:{}", number % 100), number.to_string());
        // Runs of writes and reads of all lengths, broken by other commands.
        sent.extend(match number % 7 {
            0..3 => request(&[b"SET", key.as_bytes(), value.as_bytes()]),
            3 => request(&[b"INCR", b"count"]),
            4 => request(&[b"get", key.as_bytes()]),
            5 => b"GET nothing\r\n".to_vec(),
            _ => request(&[b"GET", b""]),
        });
        expected.push(number % 7);
    }
    client.send(&sent);
    let mut count = 0;
    for (number, kind) in expected.into_iter().enumerate() {
        let reply = client.reply();
        match kind {
            0..3 => assert_eq!(reply, "+OK", "{number}"),
            3 => {
                count += 1;
                assert_eq!(reply, format!(":{count}"));
            }
            4 => assert!(reply.starts_with('$'), "{number}: {reply}"),
            _ => assert_eq!(reply, "$-1", "{number}"),
        }
    }
}

#[test]
fn reads_see_the_writes_in_front_of_them() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut sent = Vec::new();
    for number in 0..200_u32 {
        sent.extend(request(&[b"SET", b"k", number.to_string().as_bytes()]));
        sent.extend(request(&[b"GET", b"k"]));
    }
    client.send(&sent);
    for number in 0..200_u32 {
        assert_eq!(client.reply(), "+OK");
        assert_eq!(client.reply().split(' ').nth(1), Some(&*number.to_string()));
    }
}

#[test]
fn requests_may_come_byte_by_byte() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for byte in
        b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhello\r\nGET 'a'\r\n\r\n*0\r\n*1\r\n$4\r\nPING\r\n"
    {
        client.send(&[*byte]);
        std::thread::sleep(Duration::from_micros(200));
    }
    let replies = [client.reply(), client.reply(), client.reply()];
    assert_eq!(replies, ["+OK", "$5 hello", "+PONG"]);
}

#[test]
fn long_values_and_many_of_them() {
    let server = Server::start(&["--memory", "256m"]);
    let mut client = server.client();
    let value: Vec<u8> = (0..8_000_000_u32).map(|n| b'a' + u8::try_from(n % 26).unwrap()).collect();
    assert_eq!(client.ask(&[b"SET", b"long", &value]), "+OK");
    // More than the sockets hold: the replies wait in the server.
    let mut sent = Vec::new();
    (0..10).for_each(|_| sent.extend(request(&[b"GET", b"long"])));
    sent.extend(request(&[b"PING"]));
    client.send(&sent);
    std::thread::sleep(Duration::from_millis(100));
    for _ in 0..10 {
        let mut reply = Vec::new();
        assert!(client.take_reply(&mut reply));
        assert!(reply.starts_with(b"$8000000\r\nabc") && reply[10..].starts_with(&value));
    }
    assert_eq!(client.reply(), "+PONG");
    let many: Vec<String> = (0..100_000).map(|n| format!("k{n}")).collect();
    let mut words: Vec<&[u8]> = vec![b"MSET"];
    many.iter().for_each(|key| words.extend([key.as_bytes(), b"v"]));
    assert_eq!(client.ask(&words), "+OK");
    assert_eq!(client.ask_line("DBSIZE"), ":100001");
}

#[test]
fn protocol_errors_end_the_connection() {
    let server = Server::start(&["--max-args", "10", "--memory", "1m"]);
    let cases: [(&[u8], &str); 7] = [
        (b"PING\r\n*x\r\n", "+PONG -ERR Protocol error: invalid multibulk length"),
        (b"*11\r\n", "-ERR Protocol error: invalid multibulk length"),
        (b"*1\r\n$-5\r\n", "-ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$99999999\r\n", "-ERR Protocol error: invalid bulk length"),
        (b"*1\r\nPING\r\n", "-ERR Protocol error: expected '$', got 'P'"),
        (b"GET \"a\r\n", "-ERR Protocol error: unbalanced quotes in request"),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a 1\r\n", ""),
    ];
    for (bytes, expected) in cases {
        let mut client = server.client();
        client.send(bytes);
        assert_eq!(client.rest(), expected, "{}", String::from_utf8_lossy(bytes));
    }
    let mut client = server.client();
    client.send(&[b'a'; 70_000]);
    assert_eq!(client.rest(), "-ERR Protocol error: too big inline request");
    assert_eq!(server.client().ask_line("EXISTS a"), ":0");
}

#[test]
fn replies_that_nobody_takes_are_bounded() {
    let server = Server::start(&["--output-buffer", "1m"]);
    let mut greedy = server.client();
    greedy.ask(&[b"SET", b"a", &vec![b'v'; 500_000]]);
    greedy.ask_line("APPEND a x");
    let sent = request(&[b"MGET", b"a", b"a", b"a", b"a"]);
    greedy.send(&sent);
    assert_eq!(greedy.rest(), "");
    assert_eq!(server.client().ask_line("STRLEN a"), ":500001");
}

#[test]
fn clients_are_bounded() {
    let server = Server::start(&["--max-connections", "2"]);
    let (mut first, mut second) = (server.client(), server.client());
    assert_eq!([first.ask_line("PING"), second.ask_line("PING")], ["+PONG", "+PONG"]);
    assert_eq!(server.client().rest(), "-ERR max number of clients reached");
    assert_eq!(first.ask_line("QUIT"), "+OK");
    assert_eq!(first.rest(), "");
    // The place is free when the server has noticed.
    let begun = Instant::now();
    loop {
        let mut third = server.client();
        third.send(b"PING\r\n");
        if third.rest_starts_with("+PONG") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "the place stays taken");
    }
}

trait StartsWith {
    fn rest_starts_with(&mut self, text: &str) -> bool;
}

impl StartsWith for Client {
    fn rest_starts_with(&mut self, text: &str) -> bool {
        let mut bytes = Vec::new();
        self.take_reply(&mut bytes) && bytes.starts_with(text.as_bytes())
    }
}

#[test]
fn who_says_all_at_once_and_no_more_is_answered() {
    let server = Server::start(&[]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("the server listens");
    stream.write_all(b"SET a 1\r\nGET a\r\nGET").expect("sent");
    stream.shutdown(Shutdown::Write).expect("half closed");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("replies and an end");
    assert_eq!(text, "+OK\r\n$1\r\n1\r\n");
}

/// A small generator with a fixed seed (an LCG), so that a failure comes again.
fn noise(state: &mut u64) -> u8 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let alphabet = b"*3$1\r\n\r\n\r\nSETGETa b'\"\\x0123456789-\xff\x00KEYSCAN";
    alphabet[usize::try_from(*state >> 33).expect("31 bits") % alphabet.len()]
}

#[test]
fn noise_is_survived() {
    let mut server = Server::start(&[]);
    let mut state = 3;
    for _ in 0..300 {
        let stream = TcpStream::connect(("127.0.0.1", server.port));
        let mut stream = stream.expect("the server listens");
        let mut bytes: Vec<u8> = (0..500).map(|_| noise(&mut state)).collect();
        if state.is_multiple_of(2) {
            bytes.splice(0..0, *b"*4\r\n$4\r\nSCAN\r\n$1\r\n0\r\n$5\r\nMATCH\r\n$9\r\n");
        }
        // The server may have closed before it has all.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(server.client().ask_line("PING"), "+PONG");
    assert!(server.child.try_wait().expect("its state").is_none());
}

#[test]
fn a_unix_socket_and_the_end() {
    let path = std::env::temp_dir().join(format!("nyala-resp-{}.sock", std::process::id()));
    let text = path.to_str().expect("a path of text");
    for signal in ["-TERM", "-INT"] {
        let mut server = Server::start(&["--unix", text, "--threads", "2"]);
        assert_eq!(Client::unix(&path).ask_line("PING"), "+PONG");
        let mut client = server.client();
        assert_eq!(client.ask_line("CLIENT ID"), ":2");
        let pid = server.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
        assert!(server.child.wait().expect("its end").success());
        assert!(!path.exists());
        assert_eq!(client.rest(), "");
    }
    // What a killed server leaves behind does not stop the next one.
    let server = Server::start(&["--unix", text]);
    drop(server);
    assert!(path.exists());
    let server = Server::start(&["--unix", text]);
    assert_eq!(Client::unix(&path).ask_line("PING"), "+PONG");
    drop(server);
    std::fs::remove_file(&path).expect("left by the one that was killed");
}
