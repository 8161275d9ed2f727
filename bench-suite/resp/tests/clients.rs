//! Clients that know nothing of Nyala: redis-cli, redis-benchmark and redis-py, where they are installed.
#![forbid(unsafe_code)]

mod common;

use std::process::{Command, Output};

use common::{Server, installed, skipped};

fn run(program: &str, server: &Server, args: &[&str]) -> Output {
    let port = server.port.to_string();
    Command::new(program).args(["-p", &port]).args(args).output().expect("it starts")
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn redis_cli_works() {
    if !installed("redis-cli") {
        return skipped("redis-cli is not installed");
    }
    let server = Server::start(&[]);
    for protocol in ["-2", "-3"] {
        let ask = |args: &[&str]| text(&run("redis-cli", &server, &[&[protocol], args].concat()));
        assert_eq!(ask(&["set", "greeting", "hello world", "ex", "100"]), "OK\n");
        assert_eq!(ask(&["get", "greeting"]), "hello world\n");
        assert_eq!(ask(&["ttl", "greeting"]), "100\n");
        assert_eq!(ask(&["--scan", "--pattern", "greet*"]), "greeting\n");
        assert_eq!(ask(&["mget", "greeting", "none"]), "hello world\n\n");
        assert!(ask(&["info", "server"]).contains("nyala_version:"));
        assert!(ask(&["command", "docs", "get"]).contains("summary"));
    }
}

#[test]
fn redis_benchmark_works() {
    if !installed("redis-benchmark") {
        return skipped("redis-benchmark is not installed");
    }
    let server = Server::start(&["--threads", "2"]);
    for pipeline in ["1", "16"] {
        let args =
            ["-t", "ping,set,get,incr,mset", "-n", "5000", "-r", "1000", "-q", "-P", pipeline];
        let output = run("redis-benchmark", &server, &args);
        let report = text(&output);
        for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"] {
            assert!(report.contains(&format!("{test}: ")), "{test} in {report}");
        }
        assert!(!report.contains("rror"), "{report}");
    }
}

#[test]
fn redis_py_works() {
    let there = Command::new("python3").args(["-c", "import redis"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        return skipped("python3 has no module redis");
    }
    let server = Server::start(&[]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redis_py.py");
    let output = Command::new("python3").args([script, &server.port.to_string()]).output();
    assert!(text(&output.expect("python3 starts")).contains("redis-py works"));
}
