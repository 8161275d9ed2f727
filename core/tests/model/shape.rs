//! The stores that the model runs in.

use std::sync::Arc;

use nyala::{Clock, Eviction, Options, Tuning};

/// One way to open a store, and the keys that are used in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) max_bytes: u64,
    /// 0 lets the store choose, here and below.
    pub(crate) stripes: usize,
    pub(crate) segment_bytes: usize,
    pub(crate) hash_drop: u64,
    /// Number of different keys.
    pub(crate) keys: usize,
    /// Whether low-numbered keys are used more often, so that values are overwritten in place much.
    pub(crate) skewed: bool,
    /// Whether values tend to be large, so that the store is full now and then.
    pub(crate) crowded: bool,
    pub(crate) eviction: Eviction,
    /// Whether the cap is changed now and then.
    pub(crate) resizes: bool,
    /// One value in so many may be as long as the store takes.
    pub(crate) long_one_in: u64,
}

const MIB: u64 = 1 << 20;

const SMALL: Shape = Shape {
    name: "small segments",
    max_bytes: MIB,
    stripes: 1,
    segment_bytes: 4096,
    hash_drop: 0,
    keys: 300,
    skewed: true,
    crowded: false,
    eviction: Eviction::None,
    resizes: false,
    long_one_in: 256,
};

/// More keys than there is room for, so that something is evicted all the time.
const CACHE: Shape = Shape {
    name: "cache",
    keys: 6000,
    skewed: false,
    crowded: true,
    eviction: Eviction::Adaptive,
    ..SMALL
};

/// Which bits choose the directory word, which the bucket and which are the tag is the engine's affair: each quarter of
/// the hash is dropped once and kept alone once, so that each of these collides in some shape.
const fn quarter(number: u32) -> u64 {
    0xffff << (16 * number)
}

const fn colliding(name: &'static str, hash_drop: u64) -> Shape {
    Shape { name, hash_drop, max_bytes: 2 * MIB, stripes: 2, keys: 1200, ..SMALL }
}

pub(crate) const SHAPES: [Shape; 23] = [
    SMALL,
    Shape { name: "crowded", keys: 6000, skewed: false, crowded: true, ..SMALL },
    Shape {
        name: "crowded, two stripes",
        stripes: 2,
        keys: 6000,
        skewed: false,
        crowded: true,
        ..SMALL
    },
    Shape { name: "default, 1 MiB", stripes: 0, segment_bytes: 0, ..SMALL },
    Shape { name: "default, 64 MiB", max_bytes: 64 * MIB, stripes: 0, segment_bytes: 0, ..SMALL },
    Shape { name: "many keys", keys: 10_000, skewed: false, max_bytes: 16 * MIB, ..SMALL },
    // More keys than a page of 64 buckets has slots.
    colliding("all collide", u64::MAX),
    colliding("bits 0 to 15 dropped", quarter(0)),
    colliding("bits 16 to 31 dropped", quarter(1)),
    colliding("bits 32 to 47 dropped", quarter(2)),
    colliding("bits 48 to 63 dropped", quarter(3)),
    colliding("only bits 0 to 15", !quarter(0)),
    colliding("only bits 16 to 31", !quarter(1)),
    colliding("only bits 32 to 47", !quarter(2)),
    colliding("only bits 48 to 63", !quarter(3)),
    CACHE,
    Shape { name: "cache, tiny entries", keys: 30_000, crowded: false, ..CACHE },
    Shape {
        name: "cache, two stripes, all collide",
        stripes: 2,
        hash_drop: u64::MAX,
        keys: 2500,
        ..CACHE
    },
    Shape { name: "cache, few bits", stripes: 2, hash_drop: 0xfffc_fffc_fffc_fffc, ..CACHE },
    Shape {
        name: "cache, 4 MiB, resized",
        max_bytes: 4 * MIB,
        stripes: 0,
        segment_bytes: 0,
        keys: 10_000,
        resizes: true,
        ..CACHE
    },
    Shape {
        name: "cache, long values",
        max_bytes: 4 * MIB,
        resizes: true,
        long_one_in: 8,
        ..CACHE
    },
    Shape { name: "long values", max_bytes: 4 * MIB, resizes: true, long_one_in: 8, ..SMALL },
    Shape {
        name: "4 MiB, resized",
        max_bytes: 4 * MIB,
        stripes: 0,
        segment_bytes: 0,
        keys: 3000,
        crowded: true,
        resizes: true,
        ..SMALL
    },
];

impl Shape {
    pub(crate) fn options(&self, seed: u64, clock: Arc<dyn Clock>) -> Options {
        Options::memory(self.max_bytes).eviction(self.eviction).clock(clock).tuning(Tuning {
            stripes: self.stripes,
            segment_bytes: self.segment_bytes,
            hash_drop: self.hash_drop,
            seed: Some(seed),
        })
    }
}
