//! One of the threads that contend.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nyala::{Error, Result, Store};

use super::call::{Answer, Bytes, Call, Only};
use super::history::{Event, Ticks};
use super::trial::{Noise, Shape};
use crate::common::{Check, Random};

/// Longest value: where segments are small, such ones have pages of their own.
pub(crate) const LONGEST: usize = 6_000;

/// What a pair of a frame counts at most beside its key and value.
const FRAMED: usize = 72;

/// Keys of a history at most.
pub(crate) const KEYS: usize = 3;

/// Where all threads meet before each history. It spins: a thread that slept would come when the others are done.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    arrived: AtomicUsize,
    /// Set by a thread that gives up, so that no other waits for it.
    broken: AtomicUsize,
}

impl Gate {
    /// Whether all came.
    fn pass(&self, round: usize, threads: usize) -> bool {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        while self.arrived.load(Ordering::Acquire) < (round + 1) * threads {
            if self.broken.load(Ordering::Relaxed) != 0 {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    pub(crate) fn break_down(&self) {
        self.broken.store(1, Ordering::Relaxed);
    }
}

/// Lengths of a history's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lens {
    Short,
    /// Long, and overwritten in place as long as nothing is appended.
    Alike,
    Any,
}

/// What a thread last learned of a key, to ask for it in a condition.
#[derive(Debug, Clone, Default)]
struct Seen {
    value: Option<Bytes>,
    version: u64,
}

pub(crate) struct Player<'a> {
    pub(crate) store: Store,
    pub(crate) ticks: &'a Ticks,
    pub(crate) shape: &'a Shape,
    pub(crate) thread: usize,
    pub(crate) random: Random,
    /// Of each history and key.
    pub(crate) events: Vec<[Vec<Event>; KEYS]>,
    seen: [Seen; KEYS],
    written: u64,
    lens: Lens,
    value_limit: usize,
}

/// The key of a history.
pub(crate) fn key(round: usize, number: usize) -> String {
    format!("history {round}, key {number}")
}

impl<'a> Player<'a> {
    pub(crate) fn new(
        store: &Store,
        ticks: &'a Ticks,
        shape: &'a Shape,
        thread: usize,
        seed: u64,
    ) -> Player<'a> {
        Player {
            store: store.clone(),
            ticks,
            shape,
            thread,
            random: Random::new(seed ^ (thread as u64) << 48),
            events: Vec::new(),
            seen: Default::default(),
            written: 0,
            lens: Lens::Short,
            value_limit: LONGEST,
        }
    }

    /// Plays `rounds` histories together with the other threads. `seed` is the same for all of them.
    pub(crate) fn run(&mut self, gate: &Gate, rounds: usize, threads: usize, seed: u64) -> Check {
        let mut shared = Random::new(seed);
        for round in 0..rounds {
            let keys = shared.between(1, KEYS);
            let calls = shared.between(6, 48);
            let noise_in_ten = shared.below(10);
            self.lens = [Lens::Short, Lens::Alike, Lens::Any][shared.below(3)];
            if !gate.pass(round, threads) {
                return Ok(());
            }
            self.seen = Default::default();
            self.events.push(Default::default());
            // The last history is over when all have come here.
            if self.thread == 0 && round > 0 {
                let old: Vec<String> = (0..KEYS).map(|number| key(round - 1, number)).collect();
                self.store.delete_many(&old).map_err(|error| error.to_string())?;
            }
            for _ in 0..calls {
                while self.random.below(10) < noise_in_ten {
                    self.make_noise()?;
                }
                if self.random.one_in(12) {
                    self.play_batch(round, keys)?;
                } else {
                    let number = self.random.below(keys);
                    self.play(round, number)?;
                }
            }
        }
        Ok(())
    }

    fn play(&mut self, round: usize, number: usize) -> Check {
        let call = self.choose(number);
        let key = key(round, number);
        let began = self.ticks.read();
        let answer = call.perform(&self.store, &key, &mut self.random)?;
        let ended = self.ticks.read();
        self.note(round, number, Event { thread: self.thread, call, answer, began, ended });
        Ok(())
    }

    /// One call for all keys, which is a call on each of them.
    fn play_batch(&mut self, round: usize, keys: usize) -> Check {
        let names: Vec<String> = (0..keys).map(|number| key(round, number)).collect();
        let values: Vec<Bytes> = (0..keys).map(|_| self.value()).collect();
        let kind = self.random.below(6);
        let began = self.ticks.read();
        let calls: Vec<(Call, Answer)> = match kind {
            0..4 => {
                let mut found = Vec::new();
                self.store
                    .get_many(&names, |_, value| {
                        found.push(Answer::Value(value.map(|value| Bytes(value.to_vec()))));
                    })
                    .map_err(|error| error.to_string())?;
                found.into_iter().map(|answer| (Call::Get, answer)).collect()
            }
            4 => {
                let pairs: Vec<(&String, &Vec<u8>)> =
                    names.iter().zip(&values).map(|(name, Bytes(value))| (name, value)).collect();
                let counts =
                    |(name, value): &(&String, &Vec<u8>)| name.len() + value.len() + FRAMED;
                let fits = pairs.iter().map(counts).sum::<usize>() <= self.store.max_frame_bytes();
                let outcomes = match fits && self.random.one_in(2) {
                    true => vec![self.store.set_many_atomic(&pairs); keys],
                    false => self.store.set_many(&pairs).map_err(|error| error.to_string())?,
                };
                let answers = outcomes.into_iter().map(|outcome| match outcome {
                    Ok(()) => Answer::Done,
                    Err(error) => Answer::Refused(error),
                });
                values.into_iter().map(Call::Set).zip(answers).collect()
            }
            _ => {
                let there = self.store.delete_many(&names).map_err(|error| error.to_string())?;
                there.into_iter().map(|there| (Call::Delete, Answer::Truth(there))).collect()
            }
        };
        let ended = self.ticks.read();
        for (number, (call, answer)) in calls.into_iter().enumerate() {
            self.note(round, number, Event { thread: self.thread, call, answer, began, ended });
        }
        Ok(())
    }

    fn note(&mut self, round: usize, number: usize, event: Event) {
        let seen = &mut self.seen[number];
        match (&event.call, &event.answer) {
            (_, Answer::Versioned(Some((value, version)))) => {
                *seen = Seen { value: Some(value.clone()), version: *version };
            }
            (
                Call::SetWith { value, .. },
                Answer::Outcome { stored: true, version: Some(version), .. },
            ) => {
                *seen = Seen { value: Some(value.clone()), version: *version };
            }
            (_, Answer::Value(Some(value))) => seen.value = Some(value.clone()),
            _ => {}
        }
        self.events[round][number].push(event);
    }

    fn choose(&mut self, number: usize) -> Call {
        match self.random.below(100) {
            0..14 => Call::Get,
            14..22 => Call::GetWith,
            22..34 => Call::GetVersioned,
            34..38 => Call::Pin,
            38..42 => Call::Contains,
            42..55 => Call::Set(self.value()),
            55..72 => {
                let previous = self.random.one_in(2);
                Call::SetWith { only: self.condition(number), value: self.value(), previous }
            }
            72..77 => Call::Swap(self.value()),
            77..80 => Call::Take,
            80..84 => Call::Delete,
            84..88 => Call::DeleteIf(self.seen[number].version),
            88..94 => Call::Increment(self.random.below(9).cast_signed() as i64 - 2),
            _ => Call::Append(self.tail()),
        }
    }

    fn condition(&mut self, number: usize) -> Only {
        let seen = self.seen[number].clone();
        match (self.random.below(8), seen.value) {
            (0, _) => Only::Always,
            (1..3, _) => Only::IfAbsent,
            (3, _) | (_, None) => Only::IfPresent,
            (4..6, Some(value)) => Only::IfValue(value),
            _ => Only::IfVersion(seen.version),
        }
    }

    /// A value that nobody else writes: a number, or one repeated so that a mix of two values shows.
    fn value(&mut self) -> Bytes {
        self.written += 1;
        let number = (self.thread as u64 * 1_000_000 + self.written * 1000).to_string();
        let (least, most) = match self.lens {
            Lens::Short => (8, 24),
            Lens::Alike => (self.value_limit - 24, self.value_limit),
            Lens::Any => (8, self.value_limit),
        };
        if self.lens != Lens::Alike && self.random.one_in(2) {
            return Bytes(number.into());
        }
        let len = self.random.between(least, most);
        Bytes(format!("{number}:").bytes().cycle().take(len).collect())
    }

    fn tail(&mut self) -> Bytes {
        if self.random.one_in(2) {
            return Bytes(self.random.below(10).to_string().into());
        }
        let Bytes(mut tail) = self.value();
        tail.truncate(64);
        Bytes(tail)
    }

    /// Keeps the store busy around the contended keys.
    fn make_noise(&mut self) -> Check {
        let Noise { keys, values, deletes, swings } = self.shape.noise;
        if keys == 0 {
            return Ok(());
        }
        let (least, most) = values.lens(&self.store);
        let value = vec![b'-'; self.random.between(least, most)];
        let outcome = if swings && self.random.one_in(100) {
            self.swing(&value)
        } else if self.random.one_in(100) {
            self.store.maintain(Duration::ZERO).map(drop)
        } else {
            let key = self.shape.noise_key(self.random.below(keys));
            if self.random.below(100) < deletes {
                self.store.delete(&key).map(drop)
            } else {
                self.store.set(&key, &value)
            }
        };
        match outcome {
            Ok(()) | Err(Error::Full { .. }) => Ok(()),
            Err(error) => Err(format!("noise: {error}")),
        }
    }

    /// Lets a quarter of the noise come or go.
    fn swing(&mut self, value: &[u8]) -> Result<()> {
        const PARTS: usize = 4;
        let part = self.random.below(PARTS);
        let keys: Vec<String> = (0..self.shape.noise.keys)
            .skip(part)
            .step_by(PARTS)
            .map(|number| self.shape.noise_key(number))
            .collect();
        if self.random.one_in(2) {
            return self.store.delete_many(&keys).map(drop);
        }
        let pairs: Vec<(String, &[u8])> = keys.into_iter().map(|key| (key, value)).collect();
        self.store.set_many(&pairs)?.into_iter().collect()
    }
}
