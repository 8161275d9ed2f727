//! What is known of the connections: each by its own event loop, all of them by CLIENT LIST.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::reply::Protocol;

/// What a connection's commands change for those behind them.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) protocol: Protocol,
    /// No further request is run; the connection ends when its replies are sent.
    pub(crate) closing: bool,
}

impl Session {
    pub(crate) fn new(id: u64) -> Session {
        Session { id, protocol: Protocol::Resp2, closing: false }
    }
}

/// A connection as others see it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) address: String,
    pub(crate) name: String,
    pub(crate) library: String,
    pub(crate) library_version: String,
    pub(crate) protocol: Protocol,
    pub(crate) since: Instant,
}

impl Client {
    fn new(address: String) -> Client {
        Client {
            address,
            name: String::new(),
            library: String::new(),
            library_version: String::new(),
            protocol: Protocol::Resp2,
            since: Instant::now(),
        }
    }
}

/// All connections of the server by their numbers, which are never used again.
#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<Registry>);

#[derive(Debug, Default)]
struct Registry {
    last_id: u64,
    clients: BTreeMap<u64, Client>,
}

impl Clients {
    /// Takes a connection in and gives it a number, if there are fewer than `most`.
    pub(crate) fn admit(&self, address: String, most: usize) -> Option<u64> {
        let mut registry = self.lock();
        if registry.clients.len() >= most {
            return None;
        }
        registry.last_id += 1;
        let id = registry.last_id;
        registry.clients.insert(id, Client::new(address));
        Some(id)
    }

    pub(crate) fn remove(&self, id: u64) {
        self.lock().clients.remove(&id);
    }

    pub(crate) fn change(&self, id: u64, change: impl FnOnce(&mut Client)) {
        if let Some(client) = self.lock().clients.get_mut(&id) {
            change(client);
        }
    }

    pub(crate) fn get(&self, id: u64) -> Option<Client> {
        self.lock().clients.get(&id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<(u64, Client)> {
        self.lock().clients.iter().map(|(id, client)| (*id, client.clone())).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().clients.len()
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        // No step under the lock leaves the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
