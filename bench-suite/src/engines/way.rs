//! Ways to ask a server: over which socket, how many commands a pipeline, by how many connections.

/// What lies between a client and its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Loopback TCP.
    Tcp,
    Unix,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) transport: Transport,
    /// Commands that are sent with one write and answered before the next ones are sent.
    pub(crate) pipeline: usize,
    /// Of one thread, which sends a pipeline to each of them before it waits for the first reply.
    pub(crate) connections: usize,
}

const fn tcp(pipeline: usize) -> Way {
    Way { transport: Transport::Tcp, pipeline, connections: 1 }
}

const fn unix(pipeline: usize) -> Way {
    Way { transport: Transport::Unix, pipeline, connections: 1 }
}

const fn crowd(connections: usize) -> Way {
    Way { transport: Transport::Tcp, pipeline: 1, connections }
}

/// In every profile. The last one loads the store.
pub(crate) const FEW: [Way; 2] = [tcp(1), tcp(32)];
/// What long profiles measure in addition. The first one loads the store.
pub(crate) const MORE: [Way; 8] =
    [unix(32), unix(1), unix(8), unix(128), tcp(8), tcp(128), crowd(10), crowd(50)];

impl Way {
    pub(crate) const LOADS: Way = FEW[1];

    /// Commands that are under way at once.
    pub(crate) fn depth(self) -> usize {
        self.pipeline * self.connections
    }

    /// Whether each command goes alone, so that a command with many keys differs from a pipeline of commands.
    pub(crate) fn is_single(self) -> bool {
        self.depth() == 1
    }

    /// The row of a server in tables: `redis-p1`, `redis-unix-p8`, `redis-c50-p1`.
    pub(crate) fn name(self, server: &str) -> String {
        let socket = if self.transport == Transport::Unix { "-unix" } else { "" };
        let crowd = match self.connections {
            1 => String::new(),
            many => format!("-c{many}"),
        };
        format!("{server}{socket}{crowd}-p{}", self.pipeline)
    }

    pub(crate) fn title(self, server: &str) -> String {
        let socket = if self.transport == Transport::Unix { ", Unix socket" } else { "" };
        let crowd = match self.connections {
            1 => String::new(),
            many => format!(", {many} connections"),
        };
        format!("{server}{socket}{crowd}, pipeline {}", self.pipeline)
    }

    /// In a sentence of the settings.
    pub(crate) fn setting(self) -> String {
        let socket = match self.transport {
            Transport::Tcp => "loopback TCP without Nagle's algorithm",
            Transport::Unix => "Unix socket",
        };
        let crowd = match self.connections {
            1 => "one connection a thread".to_owned(),
            many => format!(
                "{many} connections a thread, each sent its pipeline before the first reply is awaited; a call is all of them"
            ),
        };
        format!("{socket}, {crowd}, pipeline of {}", self.pipeline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_has_a_name_of_its_own() {
        let mut names: Vec<String> = FEW.iter().chain(&MORE).map(|way| way.name("redis")).collect();
        assert_eq!(&names[..3], ["redis-p1", "redis-p32", "redis-unix-p32"]);
        assert!(names.contains(&"redis-c50-p1".to_owned()));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), FEW.len() + MORE.len());
    }
}
