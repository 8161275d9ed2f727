//! The process that is killed.

use std::sync::atomic::{AtomicU64, Ordering};

use nyala::{Error, SetOptions, Store};

use super::story::{ALL, Answer, Deed, Line};
use super::{LONG, SHAPES, SHORT, Shape, is_counter, key_name, options};
use crate::common::{Random, mix};

/// Bytes in front of a value's filling: its key, its number, and their sum.
const PRELUDE: usize = 24;

/// The value of a key with this number: nobody else writes the same.
pub(crate) fn value_of(key: u32, number: u64, value_max: usize) -> Vec<u8> {
    let sum = mix(u64::from(key) << 32 ^ mix(number));
    let mut filling = Random::new(sum);
    let len = PRELUDE + filling.skewed(value_max - PRELUDE);
    let mut value = Vec::with_capacity(len + 8);
    for word in [u64::from(key), number, sum] {
        value.extend(word.to_le_bytes());
    }
    while value.len() < len {
        value.extend(filling.word().to_le_bytes());
    }
    value.truncate(len);
    value
}

/// The number of a value that is whole.
pub(crate) fn number_of(key: u32, value: &[u8], value_max: usize) -> Option<u64> {
    let number = u64::from_le_bytes(value.get(8..16)?.try_into().ok()?);
    (value == value_of(key, number, value_max)).then_some(number)
}

fn number<T: std::str::FromStr>(arguments: &mut impl Iterator<Item = String>) -> Result<T, String> {
    let text = arguments.next().ok_or("a child needs five numbers behind the path")?;
    text.parse().map_err(|_| format!("{text}: not a number"))
}

/// Runs until it is killed, or something is wrong. Arguments: path, shape, level, threads, seed, first number.
pub(crate) fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let path = arguments.next().ok_or("a child needs a path")?;
    let (shape, level, threads, seed, first): (usize, usize, u32, u64, u64) = (
        number(&mut arguments)?,
        number(&mut arguments)?,
        number(&mut arguments)?,
        number(&mut arguments)?,
        number(&mut arguments)?,
    );
    let store = Store::open(options(&path, shape, level)).map_err(|error| error.to_string())?;
    Line::Opened.tell();
    let numbers = AtomicU64::new(first);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..threads)
            .map(|thread| {
                let random = Random::new(mix(seed) ^ u64::from(thread));
                let shape = &SHAPES[shape];
                let mut writer = Writer { store: &store, shape, thread, random, numbers: &numbers };
                scope.spawn(move || {
                    loop {
                        writer.step().map_err(|error| error.to_string())?;
                    }
                })
            })
            .collect();
        let ends = writers.into_iter().map(|writer| writer.join().expect("a thread panicked"));
        ends.collect::<Result<Vec<()>, String>>().map(|_| ())
    })
}

struct Writer<'a> {
    store: &'a Store,
    shape: &'a Shape,
    thread: u32,
    random: Random,
    numbers: &'a AtomicU64,
}

impl Writer<'_> {
    fn step(&mut self) -> Result<(), Error> {
        match self.random.below(1000) {
            0 => self.clear(),
            1..=40 => self.set_many(),
            41..=45 => self.store.maintain(std::time::Duration::from_micros(200)).map(|_| ()),
            46..=50 => self.store.sync(),
            _ => self.change_one(),
        }
    }

    fn key(&mut self) -> u32 {
        let keys = self.shape.keys as usize;
        u32::try_from(self.random.below(keys)).expect("a few keys") * super::MAX_THREADS
            + self.thread
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn value(&self, key: u32, number: u64) -> Vec<u8> {
        value_of(key, number, self.shape.value_max)
    }

    fn change_one(&mut self) -> Result<(), Error> {
        let key = self.key();
        let name = key_name(key);
        let number = self.number();
        let deed = match self.random.below(100) {
            0..=14 => Deed::Delete,
            15..=19 => Deed::Persist,
            20..=23 => Deed::Expire,
            24..=25 => Deed::ExpireSoon,
            _ if is_counter(key) => Deed::Increment,
            26..=32 => Deed::SetLong(number),
            33..=36 => Deed::SetShort(number),
            _ => Deed::Set(number),
        };
        Line::Begin(key, deed).tell();
        let lasting = |ttl| SetOptions::new().ttl(ttl);
        let there = |there| if there { Answer::Done(0) } else { Answer::Missing };
        let store = self.store;
        let answer = match deed {
            Deed::Set(number) => store.set(name, self.value(key, number)).map(|()| Answer::Done(0)),
            Deed::SetLong(number) => store
                .set_with(name, self.value(key, number), lasting(LONG))
                .map(|_| Answer::Done(0)),
            Deed::SetShort(number) => store
                .set_with(name, self.value(key, number), lasting(SHORT))
                .map(|_| Answer::Done(0)),
            Deed::Increment => {
                store.increment(name, 1, None).map(|sum| Answer::Done(sum.unsigned_abs()))
            }
            Deed::Delete => store.delete(name).map(there),
            Deed::Persist => store.persist(name).map(there),
            Deed::Expire => store.expire(name, LONG).map(there),
            Deed::ExpireSoon => store.expire(name, SHORT).map(there),
            Deed::SetFrame(_) | Deed::Clear => unreachable!("it is about several keys"),
        };
        match answer {
            // What removes is never refused.
            Err(full) if deed == Deed::Delete => Err(full),
            answer => end(key, answer),
        }
    }

    fn set_many(&mut self) -> Result<(), Error> {
        let count = self.random.between(2, 20);
        let mut keys: Vec<u32> = (0..count).map(|_| self.key()).collect();
        keys.retain(|key| !is_counter(*key));
        keys.sort_unstable();
        keys.dedup();
        if self.random.one_in(2) {
            return self.set_frame(keys);
        }
        let pairs: Vec<(String, Vec<u8>)> = keys
            .iter()
            .map(|key| {
                let number = self.number();
                Line::Begin(*key, Deed::Set(number)).tell();
                (key_name(*key), self.value(*key, number))
            })
            .collect();
        let outcomes = self.store.set_many(&pairs)?;
        for (key, outcome) in keys.into_iter().zip(outcomes) {
            end(key, outcome.map(|()| Answer::Done(0)))?;
        }
        Ok(())
    }

    fn set_frame(&mut self, mut keys: Vec<u32>) -> Result<(), Error> {
        let number = self.number();
        let mut room = self.store.max_frame_bytes();
        let pair = |key: &u32| (key_name(*key), self.value(*key, number));
        // As many of them as fit.
        keys.retain(|key| {
            let (name, value) = pair(key);
            let bytes = (name.len() + value.len()).next_multiple_of(8) + 64;
            let fits = bytes <= room && value.len() <= self.store.max_frame_value_len();
            room -= if fits { bytes } else { 0 };
            fits
        });
        let pairs: Vec<(String, Vec<u8>)> = keys.iter().map(pair).collect();
        for key in &keys {
            Line::Begin(*key, Deed::SetFrame(number)).tell();
        }
        let answer = self.store.set_many_atomic(&pairs);
        for key in keys {
            end(key, answer.clone().map(|()| Answer::Done(0)))?;
        }
        Ok(())
    }

    fn clear(&mut self) -> Result<(), Error> {
        Line::Begin(ALL + self.thread, Deed::Clear).tell();
        self.store.clear()?;
        end(ALL + self.thread, Ok(Answer::Done(0)))
    }
}

fn end(key: u32, answer: Result<Answer, Error>) -> Result<(), Error> {
    let answer = match answer {
        Err(Error::Full { .. }) => Answer::Full,
        answer => answer?,
    };
    Line::End(key, answer).tell();
    Ok(())
}
