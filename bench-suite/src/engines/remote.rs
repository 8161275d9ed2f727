//! A server in another process, behind a socket: Redis, and our store behind its RESP front end, asked by the same client, so a
//! group of its own. The PING floor beside them makes the same round trips for a command that touches no data; what is above the
//! floor is the server. In files Redis's log is what lasts.

use std::sync::Arc;

use super::contract::{Config, Durability, Engine, GROUP, Group, Info, Key, Session, Tally};
use super::redis_server;
use super::resp::{Client, Reply};
use super::server::Server;
use super::way::{FEW, Way};
use crate::fault::{Fault, Result};
use crate::measure::process;
use crate::workloads::stream::{Kind, Op, Values};

/// A server, asked in one way.
#[derive(Debug)]
pub(crate) struct Remote {
    server: Arc<Server>,
    way: Way,
    durability: Durability,
}

/// The same server, asked for nothing but an answer.
#[derive(Debug)]
pub(crate) struct Ping {
    server: Arc<Server>,
    way: Way,
}

impl Remote {
    pub(crate) fn on(server: &Arc<Server>, way: Way) -> Remote {
        Remote { server: Arc::clone(server), way, durability: Durability::D0 }
    }
}

impl Ping {
    pub(crate) fn on(server: &Arc<Server>, way: Way) -> Ping {
        Ping { server: Arc::clone(server), way }
    }
}

fn version(server: &Server) -> String {
    if server.is_ours() {
        return env!("CARGO_PKG_VERSION").to_owned();
    }
    server.info("redis_version").unwrap_or_else(|_| "unknown".to_owned())
}

fn build(server: &Server) -> Option<String> {
    (!server.is_ours()).then(|| "redis-server as installed".to_owned())
}

fn settings(server: &Server, way: Way) -> Vec<String> {
    vec![
        server.about().setting.clone(),
        way.setting(),
        "hand-written client: one write a pipeline, replies parsed where they lie".to_owned(),
    ]
}

fn connect(server: &Server, way: Way) -> Result<Vec<Client>> {
    (0..way.connections).map(|_| server.connect(way.transport)).collect()
}

impl Engine for Remote {
    type Session<'a> = RemoteSession;
    const SAMPLE_EVERY: u32 = 1;

    fn available() -> Result<()> {
        redis_server::available()
    }

    fn open(config: &Config) -> Result<Remote> {
        let server = Arc::new(redis_server::start(config.home.as_ref())?);
        let durability = config.home.as_ref().map_or(Durability::D0, |home| home.durability);
        Ok(Remote { server, way: FEW[0], durability })
    }

    fn info(&self) -> Info {
        let volatile = self.durability.is_volatile();
        let about = self.server.about();
        let mut settings = settings(&self.server, self.way);
        settings.push("a batch is one MGET of 32 keys; a counter is INCR".to_owned());
        if !volatile {
            settings.push(format!("load: {GROUP} commands a pipeline"));
        }
        Info {
            name: if volatile { self.way.name(about.name) } else { about.name.to_owned() },
            title: self.way.title(about.title),
            version: version(&self.server),
            note: None,
            build: build(&self.server),
            group: Group::Socket,
            floor: false,
            settings,
        }
    }

    fn session(&self) -> Result<RemoteSession> {
        let clients = connect(&self.server, self.way)?;
        let grouped = !self.durability.is_volatile();
        Ok(RemoteSession { clients, way: self.way, grouped, queued: None })
    }

    fn close(self) -> Result<()> {
        Arc::into_inner(self.server)
            .ok_or_else(|| Fault::new("the server is still in use"))?
            .shut_down()
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
        Ok(Ping { server: Arc::new(redis_server::start(None)?), way: FEW[0] })
    }

    fn info(&self) -> Info {
        Info {
            name: self.way.name("ping"),
            title: self.way.title("PING floor"),
            version: version(&self.server),
            note: None,
            build: build(&self.server),
            group: Group::Socket,
            floor: true,
            settings: settings(&self.server, self.way),
        }
    }

    fn session(&self) -> Result<PingSession> {
        Ok(PingSession { clients: connect(&self.server, self.way)?, way: self.way })
    }

    fn server_cpu_seconds(&self) -> Result<f64> {
        process::cpu_seconds_of(self.server.process())
    }
}

#[derive(Debug)]
pub(crate) struct RemoteSession {
    /// As many as the way has connections, one at least.
    clients: Vec<Client>,
    way: Way,
    /// Whether a load groups its commands.
    grouped: bool,
    /// Commands of a load that were not sent yet; `None` where there is none.
    queued: Option<usize>,
}

/// Copies the value of a read's reply; whether there was one.
#[inline]
fn copy_value(client: &mut Client, out: &mut Vec<u8>) -> Result<bool> {
    match client.reply()? {
        Reply::Bulk(Some(at)) => {
            out.clear();
            out.extend_from_slice(client.bytes(at));
            Ok(true)
        }
        Reply::Bulk(None) => Ok(false),
        other => Err(Fault::new(format!("the server answered a read with {other:?}"))),
    }
}

#[inline]
fn expect_stored(client: &mut Client) -> Result<()> {
    match client.reply()? {
        Reply::Simple(at) if client.bytes(at.clone()) == b"OK" => Ok(()),
        other => Err(Fault::new(format!("the server answered SET with {other:?}"))),
    }
}

#[inline]
fn sum(client: &mut Client) -> Result<i64> {
    match client.reply()? {
        Reply::Integer(sum) => Ok(sum),
        other => Err(Fault::new(format!("the server answered INCR with {other:?}"))),
    }
}

#[inline]
fn tally_value(client: &mut Client, out: &mut Vec<u8>, tally: &mut Tally) -> Result<bool> {
    let hit = copy_value(client, out)?;
    if hit {
        tally.hit(out);
    } else {
        tally.miss();
    }
    Ok(hit)
}

#[inline]
fn send_all(client: &mut Client, ops: &[Op], values: &Values) -> Result<()> {
    for op in ops {
        match op.kind {
            Kind::Get => client.command(&[b"GET", &op.key]),
            Kind::Set => client.command(&[b"SET", &op.key, values.at(op.value)]),
            Kind::Increment => client.command(&[b"INCR", &op.key]),
        }
    }
    client.send()
}

#[inline]
fn take_all(client: &mut Client, ops: &[Op], out: &mut Vec<u8>, tally: &mut Tally) -> Result<()> {
    for op in ops {
        match op.kind {
            Kind::Get => {
                tally_value(client, out, tally)?;
            }
            Kind::Set => expect_stored(client)?,
            Kind::Increment => {
                let sum = sum(client)?;
                tally.hit(&sum.to_le_bytes());
            }
        }
    }
    Ok(())
}

impl RemoteSession {
    /// The connection of single operations.
    #[inline]
    fn first(&mut self) -> Result<&mut Client> {
        self.clients.first_mut().ok_or_else(|| Fault::new("a session without a connection"))
    }

    /// Sends what a load has collected.
    fn flush(&mut self) -> Result<()> {
        let queued = self.queued.as_mut().map_or(0, std::mem::take);
        if queued == 0 {
            return Ok(());
        }
        let client = self.first()?;
        client.send()?;
        (0..queued).try_for_each(|_| expect_stored(client))
    }
}

impl Session for RemoteSession {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let client = self.first()?;
        client.command(&[b"GET", key]);
        client.send()?;
        copy_value(client, out)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let client = self.first()?;
        client.command(&[b"SET", key, value]);
        if let Some(queued) = &mut self.queued {
            *queued += 1;
            return if *queued == GROUP { self.flush() } else { Ok(()) };
        }
        let client = self.first()?;
        client.send()?;
        expect_stored(client)
    }

    fn delete(&mut self, key: &[u8]) -> Result<()> {
        let client = self.first()?;
        client.command(&[b"DEL", key]);
        client.send()?;
        sum(client).map(drop)
    }

    fn loading(&mut self, on: bool) -> Result<()> {
        self.flush()?;
        self.queued = (on && self.grouped).then_some(0);
        Ok(())
    }

    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        let client = self.first()?;
        client.command(&[b"INCR", key]);
        client.send()?;
        sum(client)
    }

    fn get_many(&mut self, keys: &[Key], out: &mut Vec<u8>, tally: &mut Tally) -> Result<()> {
        let client = self.first()?;
        client.header(b'*', keys.len() + 1);
        client.argument(b"MGET");
        for key in keys {
            client.argument(key);
        }
        client.send()?;
        match client.reply()? {
            Reply::Array(count) if count == keys.len() => {}
            other => {
                return Err(Fault::new(format!(
                    "the server answered MGET of {} keys with {other:?}",
                    keys.len()
                )));
            }
        }
        for _ in keys {
            tally_value(client, out, tally)?;
        }
        Ok(())
    }

    fn depth(&self) -> usize {
        self.way.depth()
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
        let shares = || ops.chunks(self.way.pipeline);
        for (client, ops) in self.clients.iter_mut().zip(shares()) {
            send_all(client, ops, values)?;
        }
        for (client, ops) in self.clients.iter_mut().zip(shares()) {
            take_all(client, ops, out, tally)?;
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
        let client = self.first()?;
        for key in keys {
            client.command(&[b"GET", key]);
        }
        client.send()?;
        let mut missed = 0;
        for key in keys {
            if !tally_value(client, out, tally)? {
                // Collected while replies still come in; sent together below.
                client.command(&[b"SET", key, value]);
                missed += 1;
            }
        }
        if missed > 0 {
            client.send()?;
        }
        (0..missed).try_for_each(|_| expect_stored(client))
    }
}

#[derive(Debug)]
pub(crate) struct PingSession {
    clients: Vec<Client>,
    way: Way,
}

impl PingSession {
    fn round_trip(&mut self, count: usize) -> Result<()> {
        let pipeline = self.way.pipeline;
        let shares = || (0..count).step_by(pipeline).map(|from| pipeline.min(count - from));
        for (client, share) in self.clients.iter_mut().zip(shares()) {
            for _ in 0..share {
                client.command(&[b"PING"]);
            }
            client.send()?;
        }
        for (client, share) in self.clients.iter_mut().zip(shares()) {
            for _ in 0..share {
                match client.reply()? {
                    Reply::Simple(_) => {}
                    other => {
                        return Err(Fault::new(format!("the server answered PING with {other:?}")));
                    }
                }
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
        self.way.depth()
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
