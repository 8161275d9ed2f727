//! Commands on the server as a whole.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use super::{Call, Outcome, Refusal, is, unknown_subcommand};
use crate::glob;
use crate::shared::Shared;

/// The version of Redis whose commands and error texts these are: clients choose by it what they send.
const REDIS_VERSION: &str = "7.0.0";

/// Writes the lines of a section of INFO.
type WriteSection = fn(&Shared, &mut String);

pub(super) fn info(call: &mut Call<'_>) -> Outcome {
    let sections: [(&str, WriteSection); 5] = [
        ("Server", server_section),
        ("Clients", clients_section),
        ("Memory", memory_section),
        ("Stats", stats_section),
        ("Keyspace", keyspace_section),
    ];
    let everything = ["all", "everything", "default"];
    let mut text = String::new();
    for (name, write) in sections {
        let mut wanted = call.args.from(1);
        let named = wanted.any(|arg| is(arg, name) || everything.iter().any(|all| is(arg, all)));
        if named || call.args.len() == 1 {
            let gap = if text.is_empty() { "" } else { "\r\n" };
            let _ = write!(text, "{gap}# {name}\r\n");
            write(call.shared, &mut text);
        }
    }
    call.replies.verbatim(&text);
    Ok(())
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = write!(text, "{name}:{value}\r\n");
}

fn server_section(shared: &Shared, text: &mut String) {
    line(text, "redis_version", REDIS_VERSION);
    line(text, "redis_mode", "standalone");
    line(text, "nyala_version", env!("CARGO_PKG_VERSION"));
    line(text, "os", std::env::consts::OS);
    line(text, "arch_bits", usize::BITS);
    line(text, "process_id", std::process::id());
    line(text, "tcp_port", shared.tcp_port());
    line(text, "uptime_in_seconds", shared.started_at.elapsed().as_secs());
    line(text, "io_threads_active", shared.settings.threads);
}

fn clients_section(shared: &Shared, text: &mut String) {
    line(text, "connected_clients", shared.clients.count());
    line(text, "maxclients", shared.settings.max_connections);
}

fn memory_section(shared: &Shared, text: &mut String) {
    let stats = shared.store.stats();
    line(text, "used_memory", stats.used_bytes);
    line(text, "maxmemory", stats.max_bytes);
    line(text, "maxmemory_policy", shared.settings.policy());
    line(text, "nyala_live_bytes", stats.live_bytes);
    line(text, "nyala_dead_bytes", stats.dead_bytes);
    line(text, "nyala_index_bytes", stats.index_bytes);
}

fn stats_section(shared: &Shared, text: &mut String) {
    let (stats, counts) = (shared.store.stats(), &shared.counts);
    line(text, "total_connections_received", counts.connections.load(Ordering::Relaxed));
    line(text, "rejected_connections", counts.rejected.load(Ordering::Relaxed));
    line(text, "total_commands_processed", counts.commands.load(Ordering::Relaxed));
    line(text, "expired_keys", stats.expired);
    line(text, "evicted_keys", stats.evicted);
    line(text, "keyspace_hits", stats.hits);
    line(text, "keyspace_misses", stats.misses);
}

fn keyspace_section(shared: &Shared, text: &mut String) {
    let keys = shared.store.len();
    if keys > 0 {
        // How many of them have a lifetime the store does not count.
        line(text, "db0", format_args!("keys={keys},expires=0,avg_ttl=0"));
    }
}

pub(super) fn config(call: &mut Call<'_>) -> Outcome {
    let subcommand = call.args.at(1);
    if is(subcommand, "get") && call.args.len() > 2 {
        let parameters = parameters(call.shared);
        let wanted = |name: &str| {
            let mut patterns = call.args.from(2);
            patterns.any(|p| glob::matches(&p.to_ascii_lowercase(), name.as_bytes()))
        };
        let chosen: Vec<_> = parameters.iter().filter(|(name, _)| wanted(name)).collect();
        call.replies.map(chosen.len());
        for (name, value) in chosen {
            call.replies.bulk(name.as_bytes());
            call.replies.bulk(value.as_bytes());
        }
    } else if is(subcommand, "resetstat") && call.args.len() == 2 {
        call.shared.counts.reset();
        call.replies.simple("OK");
    } else if is(subcommand, "set") && call.args.len() > 3 {
        let text = "ERR CONFIG SET is not supported: settings are given on the command line";
        return Err(Refusal::from(text));
    } else {
        return Err(unknown_subcommand(call.args));
    }
    Ok(())
}

/// The settings by the names that clients ask for.
fn parameters(shared: &Shared) -> Vec<(&'static str, String)> {
    let settings = &shared.settings;
    vec![
        ("appendonly", "no".to_owned()),
        ("bind", settings.bind.to_string()),
        ("client-query-buffer-limit", settings.query_buffer.to_string()),
        ("databases", "1".to_owned()),
        ("io-threads", settings.threads.to_string()),
        ("maxclients", settings.max_connections.to_string()),
        ("maxmemory", shared.store.max_bytes().to_string()),
        ("maxmemory-policy", settings.policy().to_owned()),
        ("port", shared.tcp_port().to_string()),
        ("proto-max-bulk-len", shared.request_limits().arg_len.to_string()),
        ("save", String::new()),
        ("timeout", "0".to_owned()),
    ]
}
