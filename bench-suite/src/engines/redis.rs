//! Redis over loopback TCP: another process behind a socket, so a group of its own. The PING floor beside it makes the same
//! round trips for a command that touches no data; what is above the floor is Redis. In files its log is what lasts.

use std::sync::Arc;

use super::contract::{Config, Durability, Engine, GROUP, Group, Info, Key, Session, Tally};
use super::redis_server::{ARGUMENTS, Server, appending, available};
use super::resp::{Client, Reply};
use crate::fault::{Fault, Result};
use crate::measure::process;
use crate::workloads::stream::{Kind, Op, Values};

/// Pipelines that are measured.
pub(crate) const DEPTHS: [usize; 2] = [1, 32];

/// A server, spoken to in pipelines of `depth` commands.
#[derive(Debug)]
pub(crate) struct Redis {
    server: Arc<Server>,
    depth: usize,
    durability: Durability,
}

/// The same server, asked for nothing but an answer.
#[derive(Debug)]
pub(crate) struct Ping {
    server: Arc<Server>,
    depth: usize,
}

impl Redis {
    pub(crate) fn on(server: &Arc<Server>, depth: usize) -> Redis {
        Redis { server: Arc::clone(server), depth, durability: Durability::D0 }
    }
}

impl Ping {
    pub(crate) fn on(server: &Arc<Server>, depth: usize) -> Ping {
        Ping { server: Arc::clone(server), depth }
    }
}

fn settings(depth: usize, arguments: &[&str]) -> Vec<String> {
    let quoted: Vec<&str> = arguments
        .iter()
        .map(|argument| if argument.is_empty() { "''" } else { *argument })
        .collect();
    let arguments = quoted.join(" ");
    vec![
        format!("redis-server {arguments}; everything else as shipped; no memory limit"),
        format!(
            "loopback TCP without Nagle's algorithm, one connection a thread, pipeline of {depth}"
        ),
        "hand-written client: one write a pipeline, replies parsed where they lie".to_owned(),
    ]
}

impl Engine for Redis {
    type Session<'a> = RedisSession;
    const SAMPLE_EVERY: u32 = 1;

    fn available() -> Result<()> {
        available()
    }

    fn open(config: &Config) -> Result<Redis> {
        let server = Arc::new(Server::start(config.home.as_ref())?);
        let durability = config.home.as_ref().map_or(Durability::D0, |home| home.durability);
        Ok(Redis { server, depth: 1, durability })
    }

    fn info(&self) -> Info {
        let volatile = self.durability.is_volatile();
        let mut settings = if volatile {
            settings(self.depth, &ARGUMENTS)
        } else {
            settings(self.depth, &appending(self.durability))
        };
        settings.push("a batch is one MGET of 32 keys; a counter is INCR".to_owned());
        if !volatile {
            settings.push(format!("load: {GROUP} commands a pipeline"));
        }
        Info {
            name: if volatile { format!("redis-p{}", self.depth) } else { "redis".to_owned() },
            title: format!("Redis, pipeline {}", self.depth),
            version: self.server.version().unwrap_or_else(|_| "unknown".to_owned()),
            note: None,
            build: Some("redis-server as installed".to_owned()),
            group: Group::Socket,
            floor: false,
            settings,
        }
    }

    fn session(&self) -> Result<RedisSession> {
        let client = Client::connect(self.server.port())?;
        let grouped = !self.durability.is_volatile();
        Ok(RedisSession { client, depth: self.depth, grouped, queued: None })
    }

    fn close(self) -> Result<()> {
        Arc::into_inner(self.server).ok_or_else(|| Fault::new("Redis is still in use"))?.shut_down()
    }

    fn writer(&self) -> u32 {
        self.server.process()
    }

    fn memory_bytes(&self) -> Result<u64> {
        process::resident_bytes_of(self.server.process())
    }

    fn server_cpu_seconds(&self) -> Result<f64> {
        process::cpu_seconds_of(self.server.process())
    }
}

impl Engine for Ping {
    type Session<'a> = PingSession;
    const SAMPLE_EVERY: u32 = 1;

    fn open(_config: &Config) -> Result<Ping> {
        Ok(Ping { server: Arc::new(Server::start(None)?), depth: 1 })
    }

    fn info(&self) -> Info {
        Info {
            name: format!("ping-p{}", self.depth),
            title: format!("PING floor, pipeline {}", self.depth),
            version: self.server.version().unwrap_or_else(|_| "unknown".to_owned()),
            note: None,
            build: Some("redis-server as installed".to_owned()),
            group: Group::Socket,
            floor: true,
            settings: settings(self.depth, &ARGUMENTS),
        }
    }

    fn session(&self) -> Result<PingSession> {
        Ok(PingSession { client: Client::connect(self.server.port())?, depth: self.depth })
    }

    fn server_cpu_seconds(&self) -> Result<f64> {
        process::cpu_seconds_of(self.server.process())
    }
}

#[derive(Debug)]
pub(crate) struct RedisSession {
    client: Client,
    depth: usize,
    /// Whether a load groups its commands.
    grouped: bool,
    /// Commands of a load that were not sent yet; `None` where there is none.
    queued: Option<usize>,
}

impl RedisSession {
    /// Sends what a load has collected.
    fn flush(&mut self) -> Result<()> {
        let Some(queued) = self.queued.as_mut() else {
            return Ok(());
        };
        let queued = std::mem::take(queued);
        if queued > 0 {
            self.client.send()?;
        }
        (0..queued).try_for_each(|_| self.expect_stored())
    }

    /// Copies the value of a read's reply; whether there was one.
    #[inline]
    fn copy_value(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        match self.client.reply()? {
            Reply::Bulk(Some(at)) => {
                out.clear();
                out.extend_from_slice(self.client.bytes(at));
                Ok(true)
            }
            Reply::Bulk(None) => Ok(false),
            other => Err(Fault::new(format!("Redis answered a read with {other:?}"))),
        }
    }

    #[inline]
    fn expect_stored(&mut self) -> Result<()> {
        match self.client.reply()? {
            Reply::Simple(at) if self.client.bytes(at.clone()) == b"OK" => Ok(()),
            other => Err(Fault::new(format!("Redis answered SET with {other:?}"))),
        }
    }

    #[inline]
    fn sum(&mut self) -> Result<i64> {
        match self.client.reply()? {
            Reply::Integer(sum) => Ok(sum),
            other => Err(Fault::new(format!("Redis answered INCR with {other:?}"))),
        }
    }

    #[inline]
    fn tally_value(&mut self, out: &mut Vec<u8>, tally: &mut Tally) -> Result<bool> {
        let hit = self.copy_value(out)?;
        if hit {
            tally.hit(out);
        } else {
            tally.miss();
        }
        Ok(hit)
    }
}

impl Session for RedisSession {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.client.command(&[b"GET", key]);
        self.client.send()?;
        self.copy_value(out)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.client.command(&[b"SET", key, value]);
        if let Some(queued) = &mut self.queued {
            *queued += 1;
            return if *queued == GROUP { self.flush() } else { Ok(()) };
        }
        self.client.send()?;
        self.expect_stored()
    }

    fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.client.command(&[b"DEL", key]);
        self.client.send()?;
        self.sum().map(drop)
    }

    fn loading(&mut self, on: bool) -> Result<()> {
        self.flush()?;
        self.queued = (on && self.grouped).then_some(0);
        Ok(())
    }

    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        self.client.command(&[b"INCR", key]);
        self.client.send()?;
        self.sum()
    }

    fn get_many(&mut self, keys: &[Key], out: &mut Vec<u8>, tally: &mut Tally) -> Result<()> {
        self.client.header(b'*', keys.len() + 1);
        self.client.argument(b"MGET");
        for key in keys {
            self.client.argument(key);
        }
        self.client.send()?;
        match self.client.reply()? {
            Reply::Array(count) if count == keys.len() => {}
            other => {
                return Err(Fault::new(format!(
                    "Redis answered MGET of {} keys with {other:?}",
                    keys.len()
                )));
            }
        }
        for _ in keys {
            self.tally_value(out, tally)?;
        }
        Ok(())
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn execute(
        &mut self,
        ops: &[Op],
        values: &Values,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<()> {
        if self.queued.is_some() {
            return ops.iter().try_for_each(|op| self.set(&op.key, values.at(op.value)));
        }
        for op in ops {
            match op.kind {
                Kind::Get => self.client.command(&[b"GET", &op.key]),
                Kind::Set => self.client.command(&[b"SET", &op.key, values.at(op.value)]),
                Kind::Increment => self.client.command(&[b"INCR", &op.key]),
            }
        }
        self.client.send()?;
        for op in ops {
            match op.kind {
                Kind::Get => {
                    self.tally_value(out, tally)?;
                }
                Kind::Set => self.expect_stored()?,
                Kind::Increment => {
                    let sum = self.sum()?;
                    tally.hit(&sum.to_le_bytes());
                }
            }
        }
        Ok(())
    }

    fn read_through(
        &mut self,
        keys: &[Key],
        value: &[u8],
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<()> {
        for key in keys {
            self.client.command(&[b"GET", key]);
        }
        self.client.send()?;
        let mut missed = 0;
        for key in keys {
            if !self.tally_value(out, tally)? {
                // Collected while replies still come in; sent together below.
                self.client.command(&[b"SET", key, value]);
                missed += 1;
            }
        }
        if missed > 0 {
            self.client.send()?;
        }
        for _ in 0..missed {
            self.expect_stored()?;
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct PingSession {
    client: Client,
    depth: usize,
}

impl PingSession {
    fn round_trip(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.client.command(&[b"PING"]);
        }
        self.client.send()?;
        for _ in 0..count {
            match self.client.reply()? {
                Reply::Simple(_) => {}
                other => return Err(Fault::new(format!("Redis answered PING with {other:?}"))),
            }
        }
        Ok(())
    }
}

impl Session for PingSession {
    fn get(&mut self, _key: &[u8], _out: &mut Vec<u8>) -> Result<bool> {
        self.round_trip(1)?;
        Ok(true)
    }

    fn set(&mut self, _key: &[u8], _value: &[u8]) -> Result<()> {
        self.round_trip(1)
    }

    fn increment(&mut self, _key: &[u8]) -> Result<i64> {
        self.round_trip(1)?;
        Ok(0)
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn execute(
        &mut self,
        ops: &[Op],
        _values: &Values,
        _out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<()> {
        self.round_trip(ops.len())?;
        tally.hits += ops.len() as u64;
        Ok(())
    }
}
