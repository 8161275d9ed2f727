//! Models of the reader protocol: the production modules under every schedule and every order of memory that loom
//! finds within its bound of preemptions. Run by `RUSTFLAGS="--cfg loom" cargo test -p nyala --lib --release models`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use loom::thread;

use crate::engine::Engine;
use crate::geometry::Geometry;
use crate::options::{Eviction, Options, Tuning};
use crate::pin::Pinned;
use crate::reader::{CopyTo, Entry};
use crate::reclaim::Aim;
use crate::stripe::Keep;
use crate::update::Change;

/// log2 of the words of a model's segment: the header and eleven records of a key and a value of two words.
const SEGMENT_SHIFT: u32 = 6;
const KEY_LEN: usize = 8;

type Key = [u8; KEY_LEN];

/// A store of eight tiny segments and pages of two buckets of two slots.
fn tiny() -> Arc<Engine> {
    build(tiny_geometry(), Eviction::None)
}

/// A cache of the same size.
fn tiny_cache() -> Arc<Engine> {
    build(tiny_geometry(), Eviction::Adaptive)
}

/// A store of eight segments that are smaller still, so that a record of [`RUN_LEN`] bytes gets a run, of which there are
/// addresses for two.
fn tiny_with_runs() -> Arc<Engine> {
    let geometry = Geometry {
        segment_shift: SEGMENT_SHIFT - 1,
        small_words: (1 << SEGMENT_SHIFT) / 16,
        run_pages: 4,
        ..tiny_geometry()
    };
    build(geometry, Eviction::None)
}

fn build(geometry: Geometry, eviction: Eviction) -> Arc<Engine> {
    let tuning = Tuning { seed: Some(1), ..Tuning::default() };
    let options = Options::memory(geometry.opened_bytes).eviction(eviction).tuning(tuning);
    Arc::new(Engine::build(geometry, &options).unwrap())
}

fn tiny_geometry() -> Geometry {
    Geometry {
        in_file: false,
        trailer_words: 0,
        small_words: (1 << SEGMENT_SHIFT) / 8,
        opened_bytes: 1 << 20,
        stripes: 1,
        segment_shift: SEGMENT_SHIFT,
        max_key_len: KEY_LEN,
        max_value_len: 8 << SEGMENT_SHIFT,
        beside_len_max: usize::MAX,
        segments: 8,
        opened_segments: 8,
        run_pages: 0,
        reserve: 1,
        pages: 4,
        depth_max: 3,
        pinned_max: 2,
        segments_in_pieces: 0,
        log_piece: 1,
        index_piece: 1,
    }
}

/// A value of two words that says of which key and which write it is, twice.
fn value(key: Key, write: u8) -> [u8; 16] {
    let mut value = [write; 16];
    value[0] = key[0];
    value[8] = key[0];
    value
}

fn set(engine: &Engine, key: Key, value: &[u8]) {
    engine.set(&key, value).unwrap();
}

fn remove(engine: &Engine, key: Key) {
    engine.update(&key, |_, _| Ok((Change::Remove, ()))).unwrap();
}

fn get(engine: &Engine, key: Key) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    let hash = engine.admit_key(&key).unwrap();
    let moment = engine.moment();
    let found = engine.read(hash, &key, &moment, CopyTo(&mut value));
    found.unwrap().map(|()| value)
}

/// Seconds after which a model stops, unless `LOOM_MAX_DURATION` says otherwise: the largest have hundreds of thousands
/// of executions.
const SECONDS: u64 = 45;

/// Runs a model under all schedules, or as many as there is time for, and prints how many there were.
pub(crate) fn explore(name: &str, model: impl Fn() + Sync + Send + 'static) {
    let executions = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(from_environment("LOOM_MAX_PREEMPTIONS").unwrap_or(2) as usize);
    builder.max_branches = 100_000;
    let limit = Duration::from_secs(from_environment("LOOM_MAX_DURATION").unwrap_or(SECONDS));
    builder.max_duration = Some(limit);
    // How often loom looks at the clock, in executions.
    builder.checkpoint_interval = 500;
    let start = Instant::now();
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let end = if start.elapsed() < limit { "all" } else { "stopped" };
    eprintln!("model {name}: {} executions, {end}", executions.load(Ordering::Relaxed));
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|number| number.parse().ok())
}

const A: Key = [b'a'; KEY_LEN];
const B: Key = [b'b'; KEY_LEN];
const C: Key = [b'c'; KEY_LEN];
const D: Key = [b'd'; KEY_LEN];

#[test]
fn a_reader_sees_a_whole_value_beside_an_overwrite_in_place() {
    explore("overwrite in place", || {
        let engine = tiny();
        set(&engine, A, &value(A, 1));
        let writer = thread::spawn({
            let engine = Arc::clone(&engine);
            move || set(&engine, A, &value(A, 2))
        });
        let seen = get(&engine, A).expect("the key is there throughout");
        assert!(seen == value(A, 1) || seen == value(A, 2), "mixed value {seen:?}");
        writer.join().unwrap();
        assert_eq!(get(&engine, A).unwrap(), value(A, 2));
    });
}

#[test]
fn a_reader_sees_a_whole_value_beside_an_append() {
    explore("overwrite by append", || {
        let engine = tiny();
        set(&engine, A, &value(A, 1));
        let writer = thread::spawn({
            let engine = Arc::clone(&engine);
            move || set(&engine, A, &[2; 24])
        });
        let seen = get(&engine, A).expect("the key is there throughout");
        assert!(seen == value(A, 1) || seen == [2; 24], "mixed value {seen:?}");
        writer.join().unwrap();
    });
}

#[test]
fn a_reader_sees_no_old_value_after_a_newer_one() {
    explore("reads in order", || {
        let engine = tiny();
        set(&engine, A, &value(A, 1));
        let writer = thread::spawn({
            let engine = Arc::clone(&engine);
            move || set(&engine, A, &value(A, 2))
        });
        let first = get(&engine, A).unwrap();
        let second = get(&engine, A).unwrap();
        assert!(first == value(A, 1) || second == value(A, 2), "the value went back");
        writer.join().unwrap();
    });
}

#[test]
fn a_reader_misses_no_key_beside_a_split() {
    explore("split", || {
        let engine = tiny();
        // Three entries fill a page of four slots; the fourth splits it.
        for n in 1..=3 {
            set(&engine, [n; KEY_LEN], &[n]);
        }
        let moves = |n: &u8| engine.hasher.hash(&[*n; KEY_LEN]).goes_up(0);
        let moved = (1..=3).find(moves).expect("the split moves no key");
        let writer = thread::spawn({
            let engine = Arc::clone(&engine);
            move || set(&engine, [4; KEY_LEN], &[4])
        });
        assert_eq!(get(&engine, [moved; KEY_LEN]), Some(vec![moved]), "a key was missed");
        writer.join().unwrap();
        assert!(engine.stripes[0].directory.depth() > 0, "the model reached no split");
    });
}

#[test]
fn a_reader_misses_no_spilled_key_beside_a_split() {
    explore("split with a spilled entry", || {
        let engine = tiny();
        // Three keys with one home bucket, which has two slots: the last one lies in the next bucket.
        let bucket = |n: &u8| engine.hasher.hash(&[*n; KEY_LEN]).bucket();
        let keys: Vec<u8> = (1..=u8::MAX).filter(|n| bucket(n) == 0).take(4).collect();
        for n in &keys[..3] {
            set(&engine, [*n; KEY_LEN], &[*n]);
        }
        let spilled = keys[2];
        let writer = thread::spawn({
            let engine = Arc::clone(&engine);
            let fourth = keys[3];
            move || set(&engine, [fourth; KEY_LEN], &[fourth])
        });
        assert_eq!(get(&engine, [spilled; KEY_LEN]), Some(vec![spilled]), "a key was missed");
        writer.join().unwrap();
        assert!(engine.stripes[0].directory.depth() > 0, "the model reached no split");
    });
}

#[test]
fn a_reader_misses_no_key_beside_a_merge() {
    explore("merge", || {
        let engine = tiny();
        for n in 1..=4 {
            set(&engine, [n; KEY_LEN], &[n]);
        }
        // The last key of the page that does not hold key 1.
        let directory = &engine.stripes[0].directory;
        let page = |n| directory.home(&engine.index, engine.hasher.hash(&[n; KEY_LEN]));
        let last = (2..=4).find(|n| page(*n) != page(1)).expect("the model reached no split");
        for n in (2..=4).filter(|n| *n != last) {
            remove(&engine, [n; KEY_LEN]);
        }
        let pages = engine.space.spending().pages;
        let writer = thread::spawn({
            let engine = Arc::clone(&engine);
            move || remove(&engine, [last; KEY_LEN])
        });
        assert_eq!(get(&engine, [1; KEY_LEN]), Some(vec![1]), "a key was missed");
        writer.join().unwrap();
        assert!(engine.space.spending().pages < pages, "the model reached no merge");
    });
}

/// A store whose first segment holds `A` and writes that are dead, so that reclaim moves `A` and frees the segment, and
/// whose open segment is full, so that the next write leases the freed one and lies where `A` was.
fn with_a_dead_segment(engine: Arc<Engine>) -> Arc<Engine> {
    set(&engine, A, &value(A, 1));
    for lens in [8..=64, 24..=56] {
        remove(&engine, B);
        for len in lens.step_by(8) {
            // Each is longer than what is there, and so is appended.
            set(&engine, B, &vec![b'b'; len]);
        }
    }
    engine
}

fn reclaim_all(engine: &Engine) {
    engine.maintain(Duration::from_secs(3600), &engine.moment()).unwrap();
}

#[test]
fn a_reader_sees_a_whole_value_beside_relocation_and_reuse() {
    explore("relocation and reuse", || {
        let engine = with_a_dead_segment(tiny());
        let writer = thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                reclaim_all(&engine);
                // The freed segment is leased again, and this record lies where the key's was.
                set(&engine, C, &[3; 60]);
                set(&engine, A, &[4; 32]);
            }
        });
        let seen = get(&engine, A).expect("the key is there throughout");
        assert!(seen == value(A, 1) || seen == [4; 32], "mixed value {seen:?}");
        writer.join().unwrap();
        assert!(engine.segments.generation() > 0, "nothing was freed");
    });
}

#[test]
fn a_pin_keeps_its_bytes_beside_an_overwrite_in_place() {
    explore("pin and overwrite in place", || {
        let engine = tiny();
        set(&engine, A, &value(A, 1));
        let writer = thread::spawn({
            let engine = Arc::clone(&engine);
            move || set(&engine, A, &value(A, 2))
        });
        let pinned = pin(&engine, A);
        let before = copy_of(&pinned);
        assert!(before == value(A, 1) || before == value(A, 2), "mixed value {before:?}");
        writer.join().unwrap();
        assert_eq!(copy_of(&pinned), before, "pinned bytes changed");
    });
}

#[test]
fn a_pin_keeps_its_bytes_beside_reclaim_and_reuse() {
    explore("pin and reuse", || {
        let engine = with_a_dead_segment(tiny());
        let writer = thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                reclaim_all(&engine);
                set(&engine, C, &[3; 60]);
            }
        });
        let pinned = pin(&engine, A);
        let before = copy_of(&pinned);
        assert_eq!(before, value(A, 1));
        writer.join().unwrap();
        assert_eq!(copy_of(&pinned), before, "pinned bytes changed");
        assert_eq!(engine.segments.generation(), 1, "nothing was freed");
    });
}

/// A reader of `A` counts its read in the slot, while `write` changes what the slot says. Whatever is left must be what
/// `write` left, and the reader sees the value of before or what `write` made of it.
fn count_a_read_beside(
    name: &str,
    engine: impl Fn() -> Arc<Engine> + Sync + Send + 'static,
    write: fn(&Engine),
    left: Option<&'static [u8]>,
) {
    explore(name, move || {
        let engine = engine();
        let writer = thread::spawn({
            let engine = Arc::clone(&engine);
            move || write(&engine)
        });
        let seen = get(&engine, A);
        assert!(
            seen.as_deref() == Some(&value(A, 1)) || seen.as_deref() == left,
            "mixed value {seen:?}"
        );
        writer.join().unwrap();
        assert_eq!(get(&engine, A).as_deref(), left);
        validate(&engine);
    });
}

fn cache_with_a_key() -> Arc<Engine> {
    let engine = tiny_cache();
    set(&engine, A, &value(A, 1));
    engine
}

fn validate(engine: &Engine) {
    engine.lock_stripe(0, &engine.moment()).unwrap().validate().unwrap();
}

#[test]
fn a_read_is_counted_of_no_entry_that_is_removed() {
    count_a_read_beside(
        "count of a read and removal",
        cache_with_a_key,
        |engine| remove(engine, A),
        None,
    );
}

#[test]
fn a_read_is_counted_beside_an_append() {
    let write = |engine: &Engine| set(engine, A, &[2; 24]);
    count_a_read_beside("count of a read and append", cache_with_a_key, write, Some(&[2; 24]));
}

#[test]
fn a_read_is_counted_beside_relocation() {
    const LEFT: [u8; 16] = [b'a', 1, 1, 1, 1, 1, 1, 1, b'a', 1, 1, 1, 1, 1, 1, 1];
    let cache = || with_a_dead_segment(tiny_cache());
    count_a_read_beside("count of a read and relocation", cache, reclaim_all, Some(&LEFT));
}

#[test]
fn a_reader_sees_a_whole_value_or_none_beside_eviction() {
    explore("eviction and reuse", || {
        // Two full segments: the key's is the older one.
        let engine = tiny_cache();
        set(&engine, A, &value(A, 1));
        for key in [B, C, D] {
            set(&engine, key, &[key[0]; 128]);
        }
        let writer = thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                engine.reclaim(1, Aim::Evict(Keep::Nothing), &engine.moment()).unwrap();
                // The freed segment is leased again, and this record lies where the key's was.
                set(&engine, B, &[3; 60]);
            }
        });
        let seen = get(&engine, A);
        assert!(seen.is_none() || seen.as_deref() == Some(&value(A, 1)), "mixed value {seen:?}");
        writer.join().unwrap();
        assert_eq!((get(&engine, A), get(&engine, B)), (None, Some(vec![3; 60])));
        assert_eq!(engine.segments.generation(), 1, "nothing was evicted");
        validate(&engine);
    });
}

/// Length of a value with which a record gets a run where segments are of 32 words.
const RUN_LEN: usize = 80;

/// The key's value lies in a run, at the lowest address of runs.
fn with_a_run() -> Arc<Engine> {
    let engine = tiny_with_runs();
    set(&engine, A, &[1; RUN_LEN]);
    assert_eq!(engine.space.spending().runs, 1, "the model has no run");
    engine
}

/// A reader of `A`, whose value lies in a run, beside a writer; it may see what the predicate permits.
fn read_a_run_beside(
    name: &str,
    engine: fn() -> Arc<Engine>,
    write: fn(&Engine),
    may_see: fn(Option<&[u8]>) -> bool,
) {
    explore(name, move || {
        let engine = engine();
        let generation = engine.segments.generation();
        let writer = thread::spawn({
            let engine = Arc::clone(&engine);
            move || write(&engine)
        });
        let seen = get(&engine, A);
        assert!(may_see(seen.as_deref()), "mixed value {seen:?}");
        writer.join().unwrap();
        assert!(engine.segments.generation() > generation, "nothing was freed");
        validate(&engine);
    });
}

#[test]
fn a_reader_sees_a_whole_run_while_another_key_takes_its_place() {
    let write = |engine: &Engine| {
        remove(engine, A);
        set(engine, B, &[2; RUN_LEN]);
    };
    read_a_run_beside("run and reuse by another key", with_a_run, write, |seen| {
        seen.is_none_or(|seen| seen == [1; RUN_LEN])
    });
}

#[test]
fn a_reader_sees_a_whole_run_while_its_slot_comes_back() {
    // The slot that is emptied is filled again, with the same address, and the record has another length.
    let write = |engine: &Engine| {
        remove(engine, A);
        set(engine, A, &[2; RUN_LEN + 8]);
    };
    read_a_run_beside("run and reuse by its key", with_a_run, write, |seen| {
        seen.is_none_or(|seen| seen == [1; RUN_LEN] || seen == [2; RUN_LEN + 8])
    });
}

#[test]
fn a_reader_sees_a_whole_run_while_a_segment_is_freed() {
    let with_dead_words = || {
        let engine = with_a_run();
        for len in [8, 40, 72, 8, 40] {
            remove(&engine, B);
            set(&engine, B, &vec![b'b'; len]);
        }
        engine
    };
    let write = |engine: &Engine| {
        reclaim_all(engine);
        set(engine, A, &[2; RUN_LEN]);
    };
    read_a_run_beside("run and unrelated segments", with_dead_words, write, |seen| {
        seen.is_some_and(|seen| seen == [1; RUN_LEN] || seen == [2; RUN_LEN])
    });
}

/// A store of two stripes, and a key in each.
fn with_two_stripes() -> (Arc<Engine>, [Key; 2]) {
    let geometry = Geometry { stripes: 2, reserve: 3, ..tiny_geometry() };
    let engine = build(geometry, Eviction::None);
    let stripe = |n: &u8| engine.hasher.stripe(engine.hasher.hash(&[*n; KEY_LEN]));
    let first = (1..=u8::MAX).find(|n| stripe(n) == 0).expect("a key of the first stripe");
    let second = (1..=u8::MAX).find(|n| stripe(n) == 1).expect("a key of the second stripe");
    (engine, [[first; KEY_LEN], [second; KEY_LEN]])
}

#[test]
fn frames_neither_mix_nor_wait_for_each_other_for_ever() {
    explore("two frames", || {
        let (engine, [a, b]) = with_two_stripes();
        let writer = thread::spawn({
            let engine = Arc::clone(&engine);
            // The other way around: the order of locks is not that of keys.
            move || engine.set_frame(&[(b, [2; 8]), (a, [2; 8])]).unwrap()
        });
        engine.set_frame(&[(a, [1; 8]), (b, [1; 8])]).unwrap();
        writer.join().unwrap();
        let (of_a, of_b) = (get(&engine, a).unwrap(), get(&engine, b).unwrap());
        assert!(of_a == of_b, "frames mixed: {of_a:?} and {of_b:?}");
    });
}

#[test]
fn no_writer_comes_into_the_midst_of_a_frame() {
    explore("a frame and a writer", || {
        let (engine, [a, b]) = with_two_stripes();
        engine.set_frame(&[(a, [0; 8]), (b, [0; 8])]).unwrap();
        let writer = thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                set(&engine, a, &[1; 8]);
                set(&engine, b, &[1; 8]);
            }
        });
        engine.set_frame(&[(a, [2; 8]), (b, [2; 8])]).unwrap();
        // Once its second value is to be seen, the writer's first one is too, or was written over by the frame.
        let of_b = get(&engine, b).unwrap();
        let of_a = get(&engine, a).unwrap();
        assert!(of_b != [0; 8] && of_a != [0; 8], "the frame was lost");
        writer.join().unwrap();
        let (of_a, of_b) = (get(&engine, a).unwrap(), get(&engine, b).unwrap());
        // Between its two writes the frame may come, and then `b` is the writer's and `a` the frame's, never the reverse.
        assert!(
            of_a != [1; 8] || of_b != [2; 8],
            "the writer's second write lies before its first"
        );
        for number in 0..2 {
            engine.lock_stripe(number, &engine.moment()).unwrap().validate().unwrap();
        }
    });
}

fn pin(engine: &Arc<Engine>, key: Key) -> Pinned {
    let hash = engine.admit_key(&key).unwrap();
    Pinned::new(engine, hash, &key, &engine.moment()).unwrap().expect("the key is there throughout")
}

/// The pinned bytes, read word by word as loom's memory has them.
fn copy_of(pinned: &Pinned) -> Vec<u8> {
    pinned.copy_through_words()
}
