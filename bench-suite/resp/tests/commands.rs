//! Requests and the replies that Redis 7 gives. The same table is put to redis-server where it is installed, so that it
//! says what Redis does and not what somebody thinks it does.
#![forbid(unsafe_code)]

mod common;

use std::time::{SystemTime, UNIX_EPOCH};

use common::{Client, Server, skipped};

const NIL: &str = "$-1";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range";
const SYNTAX: &str = "-ERR syntax error";

/// Requests whose replies are the same here and there, in this order, on an empty store.
const DIALOGUE: &[(&str, &str)] = &[
    // Connection.
    ("PING", "+PONG"),
    ("ping hello", "$5 hello"),
    ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
    ("ECHO hi", "$2 hi"),
    ("ECHO", "-ERR wrong number of arguments for 'echo' command"),
    ("SELECT 0", "+OK"),
    ("SELECT 99", "-ERR DB index is out of range"),
    ("NOSUCH a b", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b'"),
    ("HELLO 4", "-NOPROTO unsupported protocol version"),
    ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
    ("HELLO 2 NOPE", "-ERR Syntax error in HELLO option 'NOPE'"),
    ("CLIENT GETNAME", NIL),
    ("CLIENT SETNAME me", "+OK"),
    ("CLIENT GETNAME", "$2 me"),
    ("CLIENT NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."),
    ("RESET", "+RESET"),
    ("CLIENT GETNAME", NIL),
    // Values.
    ("GET a", NIL),
    ("GET ''", NIL),
    ("SET a 1", "+OK"),
    ("GET a", "$1 1"),
    ("GET", "-ERR wrong number of arguments for 'get' command"),
    ("SET a", "-ERR wrong number of arguments for 'set' command"),
    ("SET a 2 NX", NIL),
    ("SET b 2 XX", NIL),
    ("SET a 2 XX", "+OK"),
    ("SET a 3 GET", "$1 2"),
    ("SET a 4 NX GET", "$1 3"),
    ("SET c 4 NX GET", NIL),
    ("SET a 5 NX XX", SYNTAX),
    ("SET a 5 EX", SYNTAX),
    ("SET a 5 EX 1 PX 1", SYNTAX),
    ("SET a 5 EX 1 KEEPTTL", SYNTAX),
    ("SET a 5 NOPE", SYNTAX),
    ("SET a 5 EX x", NOT_AN_INTEGER),
    ("SET a 5 EX 0", "-ERR invalid expire time in 'set' command"),
    ("SET a 5 EX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
    ("SET a 5 PX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
    ("SET a 5 EX 100", "+OK"),
    ("TTL a", ":100"),
    ("SET a 6 KEEPTTL", "+OK"),
    ("TTL a", ":100"),
    ("SET a 7", "+OK"),
    ("TTL a", ":-1"),
    ("SET a 8 PXAT 4000000000123", "+OK"),
    ("PEXPIRETIME a", ":4000000000123"),
    ("EXPIRETIME a", ":4000000000"),
    ("SET a 8 EXAT 4000000001", "+OK"),
    ("PEXPIRETIME a", ":4000000001000"),
    ("SET gone 1", "+OK"),
    ("SET gone 2 PXAT 1", "+OK"),
    ("GET gone", NIL),
    ("SETEX a 100 9", "+OK"),
    ("TTL a", ":100"),
    ("SETEX a 0 9", "-ERR invalid expire time in 'setex' command"),
    ("PSETEX a -1 9", "-ERR invalid expire time in 'psetex' command"),
    ("PSETEX a 100000 10", "+OK"),
    ("TTL a", ":100"),
    ("SETNX a 1", ":0"),
    ("SETNX d 1", ":1"),
    ("GETSET a 11", "$2 10"),
    ("TTL a", ":-1"),
    ("GETSET e 1", NIL),
    ("GETDEL e", "$1 1"),
    ("GETDEL e", NIL),
    ("GETEX e", NIL),
    ("GETEX e EX 10", NIL),
    ("GETEX a EX 100", "$2 11"),
    ("TTL a", ":100"),
    ("GETEX a", "$2 11"),
    ("TTL a", ":100"),
    ("GETEX a PERSIST", "$2 11"),
    ("TTL a", ":-1"),
    ("GETEX a PERSIST", "$2 11"),
    ("GETEX a EXAT 4000000000", "$2 11"),
    ("PEXPIRETIME a", ":4000000000000"),
    ("GETEX a PX 0", "-ERR invalid expire time in 'getex' command"),
    ("GETEX a NX", SYNTAX),
    ("GETEX a EX 10 PERSIST", SYNTAX),
    ("GETEX d PXAT 1", "$1 1"),
    ("EXISTS d", ":0"),
    ("APPEND f abc", ":3"),
    ("APPEND f de", ":5"),
    ("GET f", "$5 abcde"),
    ("STRLEN f", ":5"),
    ("STRLEN none", ":0"),
    ("MSET g 1 h 2", "+OK"),
    ("MSET g 1 h", "-ERR wrong number of arguments for 'mset' command"),
    ("MGET g none h ''", "*4 $1 1 $-1 $1 2 $-1"),
    // Numbers.
    ("INCR n", ":1"),
    ("INCRBY n 41", ":42"),
    ("DECR n", ":41"),
    ("DECRBY n 1", ":40"),
    ("INCRBY n 1.5", NOT_AN_INTEGER),
    ("INCR f", NOT_AN_INTEGER),
    ("SET n 9223372036854775807", "+OK"),
    ("INCR n", "-ERR increment or decrement would overflow"),
    ("DECRBY n -9223372036854775808", "-ERR decrement would overflow"),
    ("SET x 10.50", "+OK"),
    ("INCRBYFLOAT x 0.1", "$4 10.6"),
    ("INCRBYFLOAT x -5", "$3 5.6"),
    ("SET x 5.0e3", "+OK"),
    ("INCRBYFLOAT x 2.0e2", "$4 5200"),
    ("EXPIRE x 100", ":1"),
    ("INCRBYFLOAT x 1", "$4 5201"),
    ("TTL x", ":100"),
    ("INCRBYFLOAT f 1", "-ERR value is not a valid float"),
    ("INCRBYFLOAT x a", "-ERR value is not a valid float"),
    ("INCRBYFLOAT x inf", "-ERR increment would produce NaN or Infinity"),
    // Lifetimes.
    ("TTL none", ":-2"),
    ("PTTL none", ":-2"),
    ("EXPIRETIME none", ":-2"),
    ("PTTL g", ":-1"),
    ("PEXPIRETIME g", ":-1"),
    ("EXPIRE none 10", ":0"),
    ("EXPIRE g x", NOT_AN_INTEGER),
    ("EXPIRE g 10 NOPE", "-ERR Unsupported option NOPE"),
    ("EXPIRE g 10 GT", ":0"),
    ("EXPIRE g 10 XX", ":0"),
    ("EXPIRE g 10 XX LT", ":0"),
    ("EXPIRE g 100 LT", ":1"),
    ("EXPIRE g 10 NX", ":0"),
    ("EXPIRE g 10 GT", ":0"),
    ("EXPIRE g 200 GT", ":1"),
    ("EXPIRE g 100 XX LT", ":1"),
    ("EXPIRE g 300 XX", ":1"),
    ("TTL g", ":300"),
    ("EXPIRE g 1 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible"),
    ("EXPIRE g 1 GT LT", "-ERR GT and LT options at the same time are not compatible"),
    ("EXPIRE g 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
    ("PEXPIREAT g 4000000000123", ":1"),
    ("PEXPIRETIME g", ":4000000000123"),
    ("EXPIRETIME g", ":4000000000"),
    ("EXPIREAT g 4000000000", ":1"),
    ("PEXPIRE g 50000", ":1"),
    ("TTL g", ":50"),
    ("PERSIST g", ":1"),
    ("PERSIST g", ":0"),
    ("PERSIST none", ":0"),
    ("EXPIRE g -1", ":1"),
    ("GET g", NIL),
    // Keys.
    ("TYPE h", "+string"),
    ("TYPE g", "+none"),
    ("EXISTS h h none", ":2"),
    ("TOUCH h none", ":1"),
    ("DEL h none ''", ":1"),
    ("UNLINK h", ":0"),
    ("KEYS nothing*", "*0"),
    ("KEYS [xy]", "*1 $1 x"),
    ("SCAN x", "-ERR invalid cursor"),
    ("SCAN 0 COUNT 0", SYNTAX),
    ("SCAN 0 MATCH", SYNTAX),
    ("SCAN 0 MATCH x COUNT 1000", "*2 $1 0 *1 $1 x"),
    ("SCAN 0 COUNT 1000 TYPE list", "*2 $1 0 *0"),
    ("FLUSHALL NOPE", SYNTAX),
    ("DBSIZE", ":5"),
    ("FLUSHALL", "+OK"),
    ("DBSIZE", ":0"),
    ("SET a 1", "+OK"),
    ("FLUSHDB ASYNC", "+OK"),
    ("GET a", NIL),
    // Server.
    ("CONFIG GET appendonly", "*2 $10 appendonly $2 no"),
    ("CONFIG GET sav*", "*2 $4 save $0"),
    ("CONFIG GET nothing", "*0"),
    ("COMMAND INFO nosuch", "*1 $-1"),
    ("COMMAND DOCS nosuch", "*0"),
    ("QUIT", "+OK"),
];

fn hold_dialogue(client: &mut Client, whose: &str) {
    for (line, expected) in DIALOGUE {
        assert_eq!(client.ask_line(line), *expected, "{whose}: {line}");
    }
    assert_eq!(client.rest(), "");
}

#[test]
fn replies_are_those_of_the_table() {
    let server = Server::start(&[]);
    hold_dialogue(&mut server.client(), "nyala-resp");
}

#[test]
fn the_table_is_that_of_redis() {
    match Server::redis() {
        Some(redis) => hold_dialogue(&mut redis.client(), "redis-server"),
        None => skipped("redis-server is not installed: the table was not put to it"),
    }
}

#[test]
fn the_third_version_of_the_protocol() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let hello = client.ask_line("HELLO 3 AUTH default x SETNAME me");
    assert!(hello.starts_with("%7 $6 server $5 nyala $7 version "), "{hello}");
    assert!(hello.contains(" $5 proto :3 $2 id :1 "), "{hello}");
    assert_eq!(client.ask_line("GET a"), "_");
    assert_eq!(client.ask_line("CLIENT GETNAME"), "$2 me");
    assert_eq!(client.ask_line("CONFIG GET save"), "%1 $4 save $0");
    assert!(client.ask_line("CLIENT INFO").starts_with('='));
    assert!(client.ask_line("HELLO 2").starts_with("*14 "));
    assert_eq!(client.ask_line("GET a"), "$-1");
    assert!(client.ask_line("HELLO 3 AUTH other x").starts_with("-WRONGPASS "));
}

#[test]
fn lifetimes_end() {
    let server = Server::start(&[]);
    let mut client = server.client();
    assert_eq!(client.ask_line("SET a 1 PX 30"), "+OK");
    std::thread::sleep(std::time::Duration::from_millis(40));
    assert_eq!(client.ask_line("GET a"), "$-1");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    assert_eq!(client.ask_line(&format!("SET a 1 EXAT {}", now + 100)), "+OK");
    assert!([":99", ":100"].contains(&&*client.ask_line("TTL a")));
}

#[test]
fn a_scan_finds_every_key_once() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for number in 0..2000 {
        client.ask_line(&format!("SET {}:{number} x", ["even", "odd"][number % 2]));
    }
    for (options, expected) in [("", 2000), (" COUNT 100", 2000), (" MATCH odd:*5 COUNT 33", 200)] {
        let (mut keys, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            let reply = client.ask_line(&format!("SCAN {cursor}{options}"));
            let words: Vec<&str> = reply.split(' ').collect();
            cursor = words[2].to_owned();
            keys.extend(words[4..].iter().filter(|w| w.contains(':')).map(|w| (*w).to_owned()));
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(keys.len(), expected, "{options}");
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), expected, "{options}");
    }
    assert!(client.ask_line("KEYS odd:*").starts_with("*1000 "));
}

#[test]
fn what_the_server_tells_of_itself() {
    let server = Server::start(&["--threads", "2", "--evict"]);
    let (mut client, mut other) = (server.client(), server.client());
    assert_eq!(other.ask_line("CLIENT SETINFO LIB-NAME mine"), "+OK");
    assert_eq!(client.ask_line("CLIENT ID"), ":1");
    let list = client.ask_line("CLIENT LIST");
    assert!(list.contains("id=1 ") && list.contains("id=2 ") && list.contains("lib-name=mine"));
    client.ask_line("SET a 1");
    let info = client.ask_line("INFO");
    for part in ["redis_version:7.0.0", "connected_clients:2", "db0:keys=1,", "maxmemory:67108864"]
    {
        assert!(info.contains(part), "{part} in {info}");
    }
    assert!(!client.ask_line("INFO memory").contains("redis_version"));
    assert_eq!(
        client.ask_line("CONFIG GET maxmemory-policy"),
        "*2 $16 maxmemory-policy $11 allkeys-lfu"
    );
    assert_eq!(client.ask_line("CONFIG RESETSTAT"), "+OK");
    assert!(client.ask_line("CONFIG SET a b").starts_with("-ERR CONFIG SET is not supported"));
    let count = client.ask_line("COMMAND COUNT").replace(':', "*");
    assert!(client.ask_line("COMMAND").starts_with(&count));
    assert!(
        client.ask_line("COMMAND INFO get").starts_with("*1 *10 $3 get :2 *2 +readonly +fast :1 ")
    );
    assert!(client.ask_line("COMMAND DOCS get").starts_with("*2 $3 get *4 $7 summary "));
}

#[test]
fn what_the_store_refuses() {
    let server = Server::start(&["--memory", "1m"]);
    let mut client = server.client();
    let long_key = "k".repeat(65_536);
    assert!(client.ask_line(&format!("SET {long_key} 1")).starts_with("-ERR key of 65536 bytes"));
    assert_eq!(client.ask_line(&format!("GET {long_key}")), "$-1");
    assert!(client.ask_line("SET '' 1").starts_with("-ERR invalid argument"));
    assert!(client.ask_line("MSET a 1 '' 1").starts_with("-ERR invalid argument"));
    assert_eq!(client.ask_line("EXISTS a"), ":0");
    let too_long = client.ask(&[b"SET", b"a", &vec![b'v'; 300 << 10]]);
    assert!(too_long.starts_with("-ERR string exceeds maximum allowed size"), "{too_long}");
    let value = vec![b'v'; 100 << 10];
    let full = (0..20).map(|n: u8| client.ask(&[b"SET", &[b'a' + n], &value])).last();
    assert_eq!(full.as_deref(), Some("-OOM command not allowed when used memory > 'maxmemory'."));
}
