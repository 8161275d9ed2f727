//! What is done to a store while every effect fails in turn.

use super::HOUR;
use super::run::{Run, expected};

const KEYS: u32 = 24;
/// More than a file has room for, of an eighth of a segment each.
const FILLING: u32 = 110;

/// Its name, what is done while everything works, and what is done while something fails.
pub(super) type Scenario = (&'static str, fn(&mut Run), fn(&mut Run));

fn nothing(_: &mut Run) {}

fn fill(run: &mut Run) {
    run.open();
    for key in 0..KEYS {
        run.set(key, 20 + key as usize);
    }
    run.sync();
}

fn churn(run: &mut Run) {
    for turn in 0..120 {
        run.set(turn * 7 % KEYS, 30 + turn as usize % 60);
    }
}

/// Values in runs of one segment to three, over small ones, each other and nothing.
fn large_values(run: &mut Run) {
    for turn in 0..14 {
        run.set(turn * 3 % 4, (turn as usize % 5 + 2) * run.segment_bytes / 2 - 40);
        if turn % 4 == 3 {
            run.delete(turn % 3);
            run.set(turn % 3, 20);
        }
    }
    run.sync();
    run.set(1, 2 * run.segment_bytes);
}

/// Frames some of whose keys had values in runs, which are let go when all of the frame is there.
fn frames_over_large_values(run: &mut Run, first: u32) {
    for turn in 0..6 {
        let keys = first + 3 * turn..first + 3 * turn + 3;
        let len = (turn as usize % 2 + 1) * run.segment_bytes - run.segment_bytes / 4;
        keys.clone().step_by(2).for_each(|key| run.set(key, len));
        run.set_frame(keys, 20);
    }
}

fn until_full(run: &mut Run) {
    run.open();
    for key in 0..FILLING {
        run.set(100 + key, run.segment_bytes / 8);
    }
}

pub(super) const SCENARIOS: [Scenario; 37] = [
    ("create", nothing, |run| {
        run.open();
        run.set(1, 10);
    }),
    (
        "open what was closed",
        |run| {
            fill(run);
            run.close();
        },
        |run| {
            run.open();
            run.set(1, 10);
        },
    ),
    (
        "open what was killed",
        |run| {
            fill(run);
            churn(run);
            run.die();
        },
        |run| {
            run.open();
            run.set(1, 10);
        },
    ),
    (
        "open what was killed while it was opened",
        |run| {
            fill(run);
            run.die();
            run.open();
            run.die();
        },
        |run| {
            run.open();
            run.delete(1);
        },
    ),
    ("append", |run| run.open(), |run| (0..6).for_each(|key| run.set(key, 40))),
    ("seal and lease", |run| run.open(), |run| (0..30).for_each(|key| run.set(key, 100))),
    ("reclaim", fill, churn),
    ("reclaim for good", fill, |run| (0..3).for_each(|_| churn(run))),
    ("delete", fill, |run| (0..KEYS).for_each(|key| run.delete(key))),
    ("delete and write again", fill, |run| {
        for key in 0..KEYS {
            run.delete(key);
            run.set(key, 50);
        }
    }),
    ("clear", fill, |run| {
        run.clear();
        run.set(3, 30);
    }),
    (
        "clear in the midst of reclaim",
        |run| {
            fill(run);
            churn(run);
        },
        |run| {
            run.clear();
            churn(run);
            run.clear();
        },
    ),
    ("sync", fill, |run| {
        for key in 0..KEYS {
            run.set(key, 25);
            run.sync();
        }
    }),
    ("close", fill, |run| {
        run.set(1, 30);
        run.close();
    }),
    ("close and open, again and again", fill, |run| {
        for key in 0..4 {
            run.close();
            run.open();
            run.set(key, 33);
        }
        run.close();
    }),
    ("growth", nothing, until_full),
    ("delete what filled the file", until_full, |run| {
        for key in 0..FILLING {
            run.delete(100 + key);
        }
        fill(run);
    }),
    ("frames", fill, |run| {
        for turn in 0..30 {
            run.set_frame(200 + 3 * turn..203 + 3 * turn, 8 + turn as usize % 20);
        }
        churn(run);
    }),
    (
        "frames that were killed, and more of them",
        |run| {
            fill(run);
            (0..8).for_each(|turn| run.set_frame(200 + 3 * turn..203 + 3 * turn, 20));
            run.die();
        },
        |run| {
            run.open();
            (8..16).for_each(|turn| run.set_frame(200 + 3 * turn..203 + 3 * turn, 20));
            churn(run);
        },
    ),
    ("frames over large values", fill, |run| {
        frames_over_large_values(run, 200);
        churn(run);
    }),
    (
        "frames over large values of another life",
        |run| {
            fill(run);
            frames_over_large_values(run, 200);
            (300..303).for_each(|key| run.set(key, 2 * run.segment_bytes));
            run.die();
        },
        |run| {
            run.open();
            run.set_frame(300..303, 20);
            frames_over_large_values(run, 400);
            run.close();
            run.open();
        },
    ),
    ("increments", fill, |run| (0..80).for_each(|turn| run.increment(50 + turn % 3))),
    ("lifetimes", fill, |run| {
        for turn in 0..100 {
            run.set_brief(turn % KEYS, 40, 5);
            run.wait(1);
        }
        churn(run);
    }),
    ("new lifetimes", fill, |run| {
        run.set(1, run.segment_bytes);
        for turn in 0..60 {
            run.expire(turn * 5 % KEYS, 3 + u64::from(turn) % 20);
            run.wait(1);
            run.set(turn * 11 % KEYS, 40);
        }
    }),
    ("appends", fill, |run| {
        for turn in 0..24 {
            run.append(60 + turn % 2, run.segment_bytes / 8);
            run.set(turn % KEYS, 30);
        }
    }),
    ("batches", fill, |run| {
        (0..12).for_each(|turn| run.set_batch(turn..turn + 8, 40 + turn as usize));
        run.set_batch(60..64, run.segment_bytes);
    }),
    ("ends of intervals", fill, |run| {
        for turn in 0..60 {
            run.set(turn % KEYS, 45);
            if turn % 7 == 0 {
                run.end_interval();
            }
        }
    }),
    ("large values", fill, large_values),
    (
        "large values of another life",
        |run| {
            fill(run);
            large_values(run);
            run.die();
        },
        |run| {
            run.open();
            large_values(run);
            run.close();
            run.open();
        },
    ),
    ("large values that end", fill, |run| {
        for turn in 0..12 {
            run.set_brief(turn % 2, 3 * run.segment_bytes / 4, 2);
            run.wait(1);
            run.end_interval();
        }
        run.clear();
        large_values(run);
    }),
    (
        "use what a checkpoint lists",
        |run| {
            fill(run);
            large_values(run);
            run.close();
        },
        |run| {
            run.open();
            (0..KEYS).for_each(|key| run.compare(key));
            run.delete(5);
            churn(run);
            run.close();
            run.open();
            run.set(1, 10);
        },
    ),
    ("backup", churn_once, |run| {
        run.set_frame(200..203, 20);
        run.backup();
        churn(run);
        run.backup();
    }),
    ("pins", churn_once, |run| {
        run.set(1, run.segment_bytes);
        for key in 0..8 {
            run.pin(key);
            run.set(key, 33);
            (8..20).for_each(|key| run.set(key, 60));
            if key % 3 == 2 {
                run.unpin();
            }
        }
        run.unpin();
    }),
    (
        "evict",
        |run| {
            run.evicts = true;
            run.open();
        },
        |run| {
            until_full(run);
            (0..8).for_each(|turn| run.set(100 + turn * 13, 50));
            (0..4).for_each(|turn| run.delete(100 + turn * 13));
            run.sync();
            until_full(run);
        },
    ),
    (
        "evict large values",
        |run| {
            run.evicts = true;
            fill(run);
        },
        |run| {
            for turn in 0..30 {
                run.set(turn % 12, (turn as usize % 4 + 1) * run.segment_bytes * 2 / 3);
            }
            run.close();
            run.open();
            large_values(run);
        },
    ),
    ("maintain", churn_once, |run| {
        if let Some(store) = &run.store {
            let _ = store.maintain(HOUR).map_err(expected);
        }
        churn(run);
    }),
    ("shrink", until_full, |run| {
        run.clear();
        fill(run);
        churn(run);
        run.close();
        run.open();
        run.close();
        run.open();
    }),
];

fn churn_once(run: &mut Run) {
    fill(run);
    churn(run);
}
