//! The process that kills, and then looks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nyala::{Store, TimeToLive};

use super::child::number_of;
use super::history::{History, Life, State};
use super::story::{ALL, Answer, Deed, Line, listen};
use super::{CHILD, LEVELS, MAX_THREADS, SHAPES, is_counter, key_name, options};
use crate::common::{Check, Random, ensure, mix, validate};

/// A file, and what is known of it.
pub(crate) struct Victim {
    path: PathBuf,
    shape: usize,
    level: usize,
    seed: u64,
    round: u64,
    histories: HashMap<u32, History>,
    /// Frames that were under way when the last child died, by number, and clearings.
    frames: HashMap<u64, Vec<u32>>,
    clears: u64,
    pub(crate) totals: Totals,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    /// Processes that were killed.
    pub(crate) kills: u64,
    /// Those among them that had not opened the store yet.
    pub(crate) while_opening: u64,
    /// Operations that were acknowledged, and that were under way when their process died.
    pub(crate) acknowledged: u64,
    pub(crate) under_way: u64,
    /// Frames that were under way then, and those of them that were done.
    pub(crate) frames: u64,
    pub(crate) whole_frames: u64,
    /// Writes for which there was no room.
    pub(crate) full: u64,
    /// Times that all entries were compared, and entries that were there.
    pub(crate) looks: u64,
    pub(crate) entries: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Totals) {
        self.kills += other.kills;
        self.while_opening += other.while_opening;
        self.acknowledged += other.acknowledged;
        self.under_way += other.under_way;
        self.frames += other.frames;
        self.whole_frames += other.whole_frames;
        self.full += other.full;
        self.looks += other.looks;
        self.entries += other.entries;
    }
}

impl Victim {
    /// The file of one shape and level, in a folder.
    pub(crate) fn new(folder: &Path, shape: usize, level: usize, seed: u64) -> Victim {
        Victim {
            path: folder.join(format!("{shape}-{}-{seed}.nyala", LEVELS[level].0)),
            shape,
            level,
            seed,
            round: 0,
            histories: HashMap::new(),
            frames: HashMap::new(),
            clears: 0,
            totals: Totals::default(),
        }
    }

    /// Kills some children, one after the other.
    pub(crate) fn rounds(&mut self, count: u64) -> Check {
        for _ in 0..count {
            let mut random = Random::new(mix(self.seed) ^ self.round);
            let looked = self.kill_one(&mut random).and_then(|()| {
                // Now and then the next child recovers the file, and may be killed at that.
                if random.one_in(3) { Ok(()) } else { self.look() }
            });
            looked.map_err(|what| self.locate(&what))?;
            self.round += 1;
        }
        self.look().map_err(|what| self.locate(&what))
    }

    fn locate(&self, what: &str) -> String {
        format!(
            "{what}\nin: {}, level {}, seed {}, round {}; the file stays at {}",
            SHAPES[self.shape].name,
            LEVELS[self.level].0,
            self.seed,
            self.round,
            self.path.display()
        )
    }

    fn kill_one(&mut self, random: &mut Random) -> Check {
        let threads = 1 + random.below(MAX_THREADS as usize);
        let first = (self.round + 1) << 32;
        let exe = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new(exe)
            .args([CHILD, &self.path.to_string_lossy()])
            .args([self.shape as u64, self.level as u64, threads as u64].map(|n| n.to_string()))
            .args([random.word(), first].map(|n| n.to_string()))
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start a child: {error}"))?;
        let pipe = child.stdout.take().ok_or("the child has no pipe")?;
        let (told, lines) = channel();
        let (opened, is_open) = channel();
        let listener = std::thread::spawn(move || {
            listen(pipe, |line| {
                if line == Line::Opened {
                    let _ = opened.send(());
                }
                let _ = told.send(line);
            })
        });
        wait(random, &is_open);
        kill(&mut child)?;
        listener.join().map_err(|_| "the listener panicked")??;
        self.totals.kills += 1;
        self.frames.clear();
        self.clears = 0;
        let lines: Vec<Line> = lines.try_iter().collect();
        if !lines.contains(&Line::Opened) {
            self.totals.while_opening += 1;
        }
        for line in lines {
            self.hear(line)?;
        }
        for (key, history) in &mut self.histories {
            history.die().map_err(|what| format!("{}: {what}", key_name(*key)))?;
        }
        Ok(())
    }

    fn hear(&mut self, line: Line) -> Check {
        match line {
            Line::Opened => {}
            Line::Begin(by, Deed::Clear) => {
                self.totals.under_way += 1;
                self.clears += 1;
                // It takes keys one by one.
                self.frames.clear();
                // Also of keys that nobody has written yet: they may be while it is under way.
                for key in 0..SHAPES[self.shape].keys * MAX_THREADS {
                    self.histories.entry(key).or_insert_with(History::new).begin(by, Deed::Clear);
                }
            }
            Line::Begin(key, deed) => {
                self.totals.under_way += 1;
                if let (Deed::SetFrame(number), 0) = (deed, self.clears) {
                    self.frames.entry(number).or_default().push(key);
                }
                self.histories.entry(key).or_insert_with(History::new).begin(key, deed);
            }
            Line::End(by, answer) => {
                self.totals.under_way -= 1;
                self.totals.acknowledged += 1;
                self.clears -= u64::from(by >= ALL);
                self.frames.retain(|_, keys| keys.last() != Some(&by));
                self.totals.full += u64::from(answer == Answer::Full);
                let about = |key: &u32| by >= ALL || *key == by;
                for (key, history) in self.histories.iter_mut().filter(|(key, _)| about(key)) {
                    history
                        .end(by, answer)
                        .map_err(|what| format!("{}: {what}", key_name(*key)))?;
                }
            }
        }
        Ok(())
    }

    /// Each frame that was under way is there whole or not at all.
    fn look_at_frames(&mut self, store: &Store) -> Check {
        for (number, keys) in self.frames.drain() {
            let mut whole = 0;
            for key in &keys {
                let found = found(store, *key, SHAPES[self.shape].value_max)?;
                whole += u64::from(found == State::Present(number, Life::Forever));
            }
            self.totals.frames += 1;
            self.totals.whole_frames += u64::from(whole > 0);
            ensure!(
                whole == 0 || whole == keys.len() as u64,
                "{whole} of the {} keys of frame {number:x} are as it made them",
                keys.len()
            );
        }
        Ok(())
    }

    /// Opens the file and compares every entry with what it may be.
    fn look(&mut self) -> Check {
        // The shortest lives are over then.
        std::thread::sleep(Duration::from_millis(4));
        let path = self.path.to_string_lossy();
        let store = Store::open(options(&path, self.shape, self.level))
            .map_err(|error| format!("cannot open the file: {error}"))?;
        validate(&store)?;
        let mut there = 0;
        self.look_at_frames(&store)?;
        for key in 0..SHAPES[self.shape].keys * MAX_THREADS {
            let found = found(&store, key, SHAPES[self.shape].value_max)?;
            let history = self.histories.entry(key).or_insert_with(History::new);
            let matches = |state: &State| match state {
                State::Present(_, Life::Short) => found == State::Absent,
                other => *other == found,
            };
            ensure!(
                history.states().iter().any(matches),
                "{} is {found:x?}, and should be one of {:x?}",
                key_name(key),
                history.states()
            );
            history.see(found);
            there += u64::from(found != State::Absent);
        }
        let mut scanned = 0;
        let mut cursor = store.scan("").map_err(|error| error.to_string())?;
        while let Some(batch) = cursor.next_batch(1000).map_err(|error| error.to_string())? {
            scanned += batch.len() as u64;
        }
        ensure!(scanned == there, "{scanned} entries are found by a scan, {there} by their keys");
        self.totals.looks += 1;
        self.totals.entries += there;
        Ok(())
    }
}

/// What a store holds under a key.
fn found(store: &Store, key: u32, value_max: usize) -> Result<State, String> {
    let name = key_name(key);
    let failed = |error: nyala::Error| format!("{name}: {error}");
    let Some(value) = store.get(&name).map_err(failed)? else { return Ok(State::Absent) };
    let number = match is_counter(key) {
        true => std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok()),
        false => number_of(key, &value, value_max),
    };
    let number = number.ok_or_else(|| format!("{name} has a value that nobody wrote"))?;
    let life = match store.ttl(&name).map_err(failed)? {
        Some(TimeToLive::Forever) => Life::Forever,
        Some(TimeToLive::Remaining(_)) => Life::Long,
        None => return Err(format!("{name} has a value and no lifetime")),
    };
    Ok(State::Present(number, life))
}

/// Gives a child its time: mostly of work, sometimes already of opening.
fn wait(random: &mut Random, opened: &Receiver<()>) {
    if random.one_in(6) {
        std::thread::sleep(Duration::from_micros(random.between(300, 5000) as u64));
        return;
    }
    let _ = opened.recv_timeout(Duration::from_secs(20));
    // Short times as often as long ones.
    let most = [1000, 5000, 30_000][random.below(3)];
    std::thread::sleep(Duration::from_micros(random.between(50, most) as u64));
}

/// Ends a child that must still be running.
fn kill(child: &mut Child) -> Check {
    let failed = |error: std::io::Error| format!("cannot end a child: {error}");
    if let Some(status) = child.try_wait().map_err(failed)? {
        return Err(format!("a child ended by itself: {status}"));
    }
    // SIGKILL.
    child.kill().map_err(failed)?;
    let status = child.wait().map_err(failed)?;
    ensure!(!status.success() && status.code().is_none(), "a child ended by itself: {status}");
    Ok(())
}

/// Kills about `count` children, in every shape and level, each file for as many rounds as `rounds`.
pub(crate) fn run(
    folder: &Path,
    count: u64,
    rounds: u64,
    first_seed: u64,
    mut each: impl FnMut(&str, &str, &Totals),
) -> Result<Totals, String> {
    let mut totals = Totals::default();
    let mut seed = first_seed;
    while totals.kills < count {
        for (shape, of_shape) in SHAPES.iter().enumerate() {
            for (level, of_level) in LEVELS.iter().enumerate() {
                let mut victim = Victim::new(folder, shape, level, seed);
                victim.rounds(rounds)?;
                let _ = std::fs::remove_file(&victim.path);
                totals.add(&victim.totals);
                each(of_shape.name, of_level.0, &victim.totals);
                seed += 1;
            }
        }
    }
    Ok(totals)
}
