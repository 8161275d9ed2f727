//! Whole files: stats, verify, salvage, compact, backup.

use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nyala::{FileReport, Store};
use serde_json::json;

use crate::arguments::{Backup, Compact, Salvage, Stats, Verify};
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::opening;
use crate::output::Output;
use crate::progress::Progress;
use crate::units::{Count, Size, entries};

/// How long `compact` works before it looks whether it is to end.
const STEP: Duration = Duration::from_millis(50);

pub(crate) fn stats(arguments: &Stats, output: &mut Output) -> Result<()> {
    let file = &arguments.file;
    let opening = Progress::waiting("reading");
    let store = Store::open(opening::for_reading(file, arguments.cap))?;
    drop(opening);
    let stats = store.stats();
    let (file_bytes, disk_bytes) = lengths(file)?;
    if output.json {
        return output.json(&json!({
            "entries": stats.entries,
            "file_bytes": file_bytes,
            "disk_bytes": disk_bytes,
            "live_bytes": stats.live_bytes,
            "dead_bytes": stats.dead_bytes,
            "slack_bytes": stats.slack_bytes,
            "index_bytes": stats.index_bytes,
            "segment_bytes": stats.segment_bytes,
            "segments": stats.segments_leased,
            "segments_free": stats.segments_free,
            "stripes": stats.stripes,
            "max_bytes": stats.max_bytes,
            "max_key_bytes": store.max_key_len(),
            "max_value_bytes": store.max_value_len(),
        }));
    }
    let disk = format!("{}, {} on disk", Size(file_bytes), Size(disk_bytes));
    let segments = format!(
        "{} of {}, {} of them free",
        Count(stats.segments_leased + stats.segments_free),
        Size(stats.segment_bytes),
        Count(stats.segments_free)
    );
    for (name, number) in [
        ("entries", Count(stats.entries).to_string()),
        ("file", disk),
        ("live records", Size(stats.live_bytes).to_string()),
        ("dead records", Size(stats.dead_bytes).to_string()),
        ("slack", Size(stats.slack_bytes).to_string()),
        ("index, in memory", Size(stats.index_bytes).to_string()),
        ("segments", segments),
        ("stripes", Count(stats.stripes).to_string()),
        ("longest value", Size(store.max_value_len() as u64).to_string()),
        ("cap of this opening", Size(stats.max_bytes).to_string()),
    ] {
        output.line(&format!("{name:20}{number}"))?;
    }
    Ok(())
}

/// Length of a file, and what of it takes room on the disk.
fn lengths(file: &Path) -> Result<(u64, u64)> {
    let metadata = std::fs::metadata(file)
        .map_err(|error| Failure::of_file("read the length of", file, &error))?;
    // Of 512 bytes, whatever the file system's are.
    Ok((metadata.len(), metadata.blocks() * 512))
}

pub(crate) fn verify(arguments: &Verify, output: &mut Output) -> Result<()> {
    let progress = Progress::of_bytes("verifying", 0);
    let report = nyala::verify_with(&arguments.file, |done| {
        progress.tell(done);
        ControlFlow::Continue(())
    })?;
    drop(progress);
    tell("sound", &report, output)
}

pub(crate) fn salvage(arguments: &Salvage, output: &mut Output) -> Result<()> {
    let (interrupt, progress) = (Interrupt::watch()?, Progress::of_bytes("salvaging", 0));
    let report = nyala::salvage_with(&arguments.from, &arguments.to, |done| {
        progress.tell(done);
        interrupt.flow()
    })?;
    drop(progress);
    tell("salvaged", &report, output)
}

pub(crate) fn backup(arguments: &Backup, output: &mut Output) -> Result<()> {
    let interrupt = Interrupt::watch()?;
    let options = opening::for_reading(&arguments.file, arguments.cap);
    let store = opening::unless_interrupted(options, &interrupt)?;
    let progress = Progress::of_bytes("copying", 0);
    let report = store.backup_with(&arguments.to, |done| {
        progress.tell(done);
        interrupt.flow()
    })?;
    drop(progress);
    tell("copied", &report, output)
}

fn tell(what: &str, report: &FileReport, output: &mut Output) -> Result<()> {
    let FileReport { entries: number, live_bytes, dead_bytes, file_bytes, .. } = *report;
    let json = json!({
        "entries": number,
        "live_bytes": live_bytes,
        "dead_bytes": dead_bytes,
        "file_bytes": file_bytes,
    });
    let text = format!(
        "{what}: {}, {} live, {} dead, in a file of {}",
        entries(number),
        Size(live_bytes),
        Size(dead_bytes),
        Size(file_bytes)
    );
    output.report(&json, &text)
}

pub(crate) fn compact(arguments: &Compact, output: &mut Output) -> Result<()> {
    let file = &arguments.file;
    let (_, before) = lengths(file)?;
    let interrupt = Interrupt::watch()?;
    let store =
        opening::unless_interrupted(opening::for_changing(file, arguments.writing)?, &interrupt)?;
    let (mut left, mut most) = (0, 0);
    let mut progress = None;
    while !interrupt.asked() {
        let (start, done) = (Instant::now(), work_of(&store));
        left = store.maintain(STEP)?.bytes;
        // Where no room is left to move records to, there is work left that cannot be done.
        if left == 0 || start.elapsed() < STEP && work_of(&store) == done {
            break;
        }
        if left > most {
            most = left;
            progress = Some(Progress::of_bytes("compacting", most));
        }
        if let Some(progress) = &progress {
            progress.set(most - left);
        }
    }
    drop(progress);
    let (moved, interrupted) = (store.stats().bytes_moved, interrupt.asked() && left > 0);
    store.sync()?;
    // The file is cut when it is closed.
    drop(store);
    let (_, after) = lengths(file)?;
    let json = json!({
        "disk_bytes_before": before,
        "disk_bytes": after,
        "bytes_moved": moved,
        "bytes_left": left,
        "interrupted": interrupted,
    });
    let sizes = format!("{} on disk, {} before", Size(after), Size(before));
    let moved = format!("{} of records moved", Size(moved));
    let text = match left {
        0 => format!("compacted: {sizes}; {moved}"),
        left => {
            format!("compacted in part: {sizes}; {moved}, about {} left to reclaim", Size(left))
        }
    };
    output.report(&json, &text)?;
    output.flush()?;
    if interrupted {
        Err(Failure::Interrupted("interrupted: what is done stays done".into()))
    } else {
        Ok(())
    }
}

/// Changes when something was reclaimed.
fn work_of(store: &Store) -> (u64, u64, u64) {
    let stats = store.stats();
    (stats.bytes_moved, stats.dead_bytes, stats.used_bytes)
}
