//! What all event loops share: the store, the settings, and what INFO tells.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::Instant;

use nyala::{Clock, Eviction, Options, Store};

use crate::clock::CommandClock;
use crate::parser::RequestLimits;
use crate::session::Clients;

/// What the command line says.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// A loopback address.
    pub(crate) bind: IpAddr,
    /// 0 takes a free one.
    pub(crate) port: u16,
    pub(crate) unix: Option<PathBuf>,
    /// The store's cap in bytes.
    pub(crate) memory: u64,
    pub(crate) evict: bool,
    pub(crate) threads: usize,
    pub(crate) max_connections: usize,
    pub(crate) max_args: usize,
    /// Bytes of one request; more where the longest value needs it.
    pub(crate) query_buffer: usize,
    /// Bytes of replies that may wait for a client to take them.
    pub(crate) output_buffer: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 6380,
            unix: None,
            memory: 256 << 20,
            evict: false,
            threads: 1,
            max_connections: 10_000,
            max_args: 1 << 20,
            query_buffer: 64 << 20,
            output_buffer: 256 << 20,
        }
    }
}

impl Settings {
    /// What becomes of entries when the store is full, by Redis's nearest name.
    pub(crate) fn policy(&self) -> &'static str {
        if self.evict { "allkeys-lfu" } else { "noeviction" }
    }
}

/// Numbers since the start, or since CONFIG RESETSTAT.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connections: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) commands: AtomicU64,
}

impl Counts {
    pub(crate) fn reset(&self) {
        for count in [&self.connections, &self.rejected, &self.commands] {
            count.store(0, Ordering::Relaxed);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) clients: Clients,
    pub(crate) counts: Counts,
    pub(crate) started_at: Instant,
    clock: Arc<CommandClock>,
    max_key_len: usize,
    tcp_port: AtomicU16,
    stopping: AtomicBool,
}

impl Shared {
    pub(crate) fn open(settings: Settings) -> nyala::Result<Shared> {
        let clock = Arc::new(CommandClock::new());
        let eviction = if settings.evict { Eviction::Adaptive } else { Eviction::None };
        let injected: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let options =
            Options::memory(settings.memory).eviction(eviction).clock(injected).count_reads(true);
        let store = Store::open(options)?;
        Ok(Shared {
            max_key_len: store.max_key_len(),
            store,
            settings,
            clients: Clients::default(),
            counts: Counts::default(),
            started_at: Instant::now(),
            clock,
            tcp_port: AtomicU16::new(0),
            stopping: AtomicBool::new(false),
        })
    }

    /// The present command's time in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        i64::try_from(self.clock.now_ms()).unwrap_or(i64::MAX)
    }

    /// Whether there may be an entry with this key.
    #[inline]
    pub(crate) fn can_hold(&self, key: &[u8]) -> bool {
        (1..=self.max_key_len).contains(&key.len())
    }

    pub(crate) fn request_limits(&self) -> RequestLimits {
        // An argument may be a value or a key; what is a little too long for the store is refused in words.
        let arg_len = self.store.max_value_len().max(1 << 20);
        RequestLimits {
            args: self.settings.max_args,
            arg_len,
            request_len: self.settings.query_buffer.max(arg_len + (128 << 10)),
        }
    }

    /// The port that was bound; 0 without one.
    pub(crate) fn tcp_port(&self) -> u16 {
        self.tcp_port.load(Ordering::Relaxed)
    }

    pub(crate) fn set_tcp_port(&self, port: u16) {
        self.tcp_port.store(port, Ordering::Relaxed);
    }

    /// Asks all event loops to end; each must be woken to notice.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
