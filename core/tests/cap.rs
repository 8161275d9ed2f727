//! The cap, against what the operating system says: memory of this process, while stores of many sizes are written,
//! pinned, resized and emptied by several threads. One test, so that nothing else in the process allocates.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Random, validate};
use nyala::{Error, Eviction, Options, Store};

const MIB: u64 = 1 << 20;
/// What threads and the allocator take beside the store: stacks, arenas, lists.
const BESIDE: u64 = MIB;
/// Times that the system is asked before what it says is believed to be too much.
const LOOKS: usize = 5;

/// Anonymous memory of this process, in bytes.
fn anonymous() -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Anonymous:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Writes, removes and pins at random until it is told to stop or has written `bytes`.
fn work(store: &Store, seed: u64, value: &[u8], bytes: u64, stop: &AtomicBool) {
    let mut random = Random::new(seed);
    let mut pins = Vec::with_capacity(4);
    let (mut written, most) = (0, store.max_value_len().min(value.len()));
    let keys = random.between(1, 40_000);
    while written < bytes && !stop.load(Ordering::Relaxed) {
        let key = random.below(keys).to_le_bytes();
        let cut = if random.one_in(500) { most } else { 4_000.min(most) };
        let len = random.between(0, cut);
        match random.below(20) {
            0 => drop(store.delete(key).unwrap()),
            1 => pins.clear(),
            2 if pins.len() < 4 => pins.extend(store.pin(key).ok().flatten()),
            _ => match store.set(key, &value[..len]) {
                Ok(()) | Err(Error::Full { .. }) => written += len as u64 + 100,
                Err(error) => panic!("{error}"),
            },
        }
    }
}

#[test]
fn the_process_maps_no_more_than_the_cap() {
    for (max_bytes, threads) in
        [(MIB, 1), (5 * MIB, 4), (64 * MIB, 2), (1024 * MIB, 4), (4096 * MIB, 2)]
    {
        for eviction in [Eviction::None, Eviction::Adaptive] {
            let value = vec![0xa5; usize::try_from(max_bytes / 4).unwrap().min(64 << 20)];
            let before = anonymous();
            let store = Store::open(Options::memory(max_bytes).eviction(eviction)).unwrap();
            let stop = AtomicBool::new(false);
            let until = Instant::now() + Duration::from_secs(2);
            std::thread::scope(|scope| {
                let workers: Vec<_> = (0..threads)
                    .map(|seed| {
                        let (store, value, stop) = (&store, &value, &stop);
                        scope.spawn(move || work(store, seed, value, 4 * max_bytes, stop))
                    })
                    .collect();
                while !workers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                    let used = store.used_bytes();
                    assert!(used <= max_bytes, "{used} bytes used of {max_bytes}");
                    // Pages that come and go while the system counts may be counted twice, but not every time.
                    let counts = (0..LOOKS).map(|_| anonymous().saturating_sub(before));
                    let within = counts.clone().find(|mapped| *mapped <= max_bytes + BESIDE);
                    let mapped = within.or_else(|| counts.min()).unwrap_or(0);
                    assert!(mapped <= max_bytes + BESIDE, "{mapped} bytes mapped of {max_bytes}");
                    if Instant::now() > until {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
            validate(&store).unwrap();
            store.clear().unwrap();
            let kept = anonymous().saturating_sub(before);
            assert!(kept <= max_bytes / 4 + BESIDE, "{kept} bytes after clear of {max_bytes}");
        }
    }
}
