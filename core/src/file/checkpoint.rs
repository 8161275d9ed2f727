//! The index checkpoint: the index of a file that was closed, so that it is opened without reading its records.
//!
//! ```text
//! close   everything is durable; the checkpoint is stored behind the last segment; sync; then the main header names it
//! open    the file is closed, the checkpoint is of that closing, all its sums are right, it lists the very segments
//!         that are leased: its pages are laid to sleep (index/asleep.rs). Any doubt: the records are read
//! ```
//! It lies in the segments behind the last leased one, in the words between header and trailer: those stay what they were,
//! so that whoever finds the file half closed, or written to since, finds segments that are free.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::engine::Engine;
use crate::error::Result;
use crate::file::check::{sum_of_shared, sum_of_words};
use crate::file::large::Run;
use crate::file::links::Runs;
use crate::file::log::FileLog;
use crate::file::mutant::{Mutant, is_on};
use crate::file::segment::SEGMENT_TRAILER_WORDS;
use crate::file::wake::Unread;
use crate::index::{Directory, Outline, PAGE_WORDS, Slot};
use crate::log::segment::{LIFETIME_NUMBERS, SEGMENT_HEADER_WORDS};
use crate::region::WORD;
use crate::stripe::Writer;
use crate::sync::{AtomicU64, Ordering::Relaxed};

#[cfg(all(test, not(loom)))]
mod tests;

/// The first eight bytes.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"NyalaIdx");
pub(crate) const HEAD_WORDS: usize = 9;
pub(crate) const STRIPE_WORDS: usize = 2;
pub(crate) const SEGMENT_WORDS: usize = 2 + LIFETIME_NUMBERS / 2;
pub(crate) const RUN_WORDS: usize = 3;
pub(crate) const ROW_WORDS: usize = 2;
/// Pages that are worth a thread.
const PAGES_PER_THREAD: usize = 256;
/// A directory has at most so many words for each of its pages, unless it has few: memory is taken for what the file says.
const NAMES_PER_PAGE: usize = 64;
const FEW_NAMES: usize = 1 << 12;

/// The words of the segments in which a checkpoint lies, numbered without those of headers and trailers.
#[derive(Debug, Clone, Copy)]
struct Area<'a> {
    words: &'a [AtomicU64],
    segment_words: usize,
}

impl<'a> Area<'a> {
    /// Words of the file from the beginning of the first segment to the end of the last of so many.
    fn extent(words: usize, segment_words: usize) -> usize {
        let (whole, rest) = (words / body(segment_words), words % body(segment_words));
        match rest {
            0 => whole * segment_words - SEGMENT_TRAILER_WORDS,
            rest => whole * segment_words + SEGMENT_HEADER_WORDS + rest,
        }
    }

    /// The words `first..first + count`, in pieces that lie behind each other.
    fn pieces(self, first: usize, count: usize) -> impl Iterator<Item = &'a [AtomicU64]> {
        let body = body(self.segment_words);
        let end = first + count;
        let next = move |at: &usize| Some((at / body + 1) * body).filter(|next| *next < end);
        std::iter::successors((count > 0).then_some(first), next).map(move |at| {
            let start = at / body * self.segment_words + SEGMENT_HEADER_WORDS + at % body;
            &self.words[start..][..(body - at % body).min(end - at)]
        })
    }

    fn store(self, first: usize, words: &[u64]) {
        let to = self.pieces(first, words.len()).flatten();
        to.zip(words).for_each(|(to, word)| to.store(*word, Relaxed));
    }

    fn load(self, first: usize, count: usize) -> Vec<u64> {
        self.pieces(first, count).flatten().map(|word| word.load(Relaxed)).collect()
    }
}

/// Words of a segment that a checkpoint uses.
fn body(segment_words: usize) -> usize {
    segment_words - SEGMENT_HEADER_WORDS - SEGMENT_TRAILER_WORDS
}

/// What a checkpoint says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Epoch of the main header before the one that names the checkpoint.
    pub(crate) epoch: u64,
    /// As in the main header that names it.
    pub(crate) census: u64,
    pub(crate) leases: u64,
    /// How many there are of each.
    pub(crate) segments: u64,
    pub(crate) runs: u64,
    pub(crate) pages: u64,
    pub(crate) slots: u64,
}

impl Head {
    /// With the sum of itself and of the tables behind it.
    pub(crate) fn encode(&self, tables: &[u64]) -> [u64; HEAD_WORDS] {
        let Head { epoch, census, leases, segments, runs, pages, slots } = *self;
        let mut words = [MAGIC, epoch, census, leases, segments, runs, pages, slots, 0];
        let sum = sum_of_words(sum_of_words(0, &words[..HEAD_WORDS - 1]), tables);
        words[HEAD_WORDS - 1] = u64::from(sum) | u64::from(!sum) << 32;
        words
    }

    fn decode(words: &[u64]) -> Option<Head> {
        let [MAGIC, epoch, census, leases, segments, runs, pages, slots, _] = *words else {
            return None;
        };
        Some(Head { epoch, census, leases, segments, runs, pages, slots })
    }

    fn table_words(&self, stripes: usize) -> usize {
        stripes * STRIPE_WORDS
            + self.segments as usize * SEGMENT_WORDS
            + self.runs as usize * RUN_WORDS
            + self.pages as usize * ROW_WORDS
    }
}

/// A page without its slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// Sum of the slots.
    pub(crate) sum: u32,
    pub(crate) entries: usize,
    pub(crate) depth: u32,
    pub(crate) inseparable: bool,
    /// Whether the next page is the overflow page of this one.
    pub(crate) continues: bool,
    /// Lowest directory bits that name the page; 0 of an overflow page.
    pub(crate) bits: u64,
}

impl Row {
    pub(crate) fn encode(&self) -> [u64; ROW_WORDS] {
        let word = u64::from(self.sum)
            | (self.entries as u64) << 32
            | u64::from(self.depth) << 48
            | u64::from(self.inseparable) << 56
            | u64::from(self.continues) << 57;
        [word, self.bits]
    }

    fn decode([word, bits]: [u64; ROW_WORDS]) -> Option<Row> {
        let row = Row {
            sum: word as u32,
            entries: (word >> 32 & 0xffff) as usize,
            depth: (word >> 48 & 0xff) as u32,
            inseparable: word >> 56 & 1 == 1,
            continues: word >> 57 & 1 == 1,
            bits,
        };
        (word >> 58 == 0 && row.entries <= PAGE_WORDS).then_some(row)
    }
}

/// What is listed of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) segment: u32,
    pub(crate) live_words: u32,
    pub(crate) lease: u64,
    pub(crate) lifetimes: [u32; LIFETIME_NUMBERS],
}

impl Listed {
    pub(crate) fn encode(&self) -> [u64; SEGMENT_WORDS] {
        let mut words = [0; SEGMENT_WORDS];
        words[0] = u64::from(self.segment) | u64::from(self.live_words) << 32;
        words[1] = self.lease;
        for (word, pair) in words[2..].iter_mut().zip(self.lifetimes.chunks(2)) {
            *word = u64::from(pair[0]) | u64::from(pair[1]) << 32;
        }
        words
    }

    fn decode(words: &[u64]) -> Listed {
        let half = |i: usize| (words[2 + i / 2] >> (32 * (i % 2))) as u32;
        Listed {
            segment: words[0] as u32,
            live_words: (words[0] >> 32) as u32,
            lease: words[1],
            lifetimes: std::array::from_fn(half),
        }
    }

    fn is(&self, unread: &Unread) -> bool {
        self.segment as usize == unread.segment
            && self.lease == unread.lease
            && self.live_words as usize <= unread.used_words - SEGMENT_HEADER_WORDS
    }
}

/// What is listed of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListedRun {
    /// Its first segment.
    pub(crate) segment: u32,
    pub(crate) link_words: u32,
    pub(crate) lease: u64,
    /// Word of the log at which its link begins.
    pub(crate) link: u64,
}

impl ListedRun {
    pub(crate) fn encode(&self) -> [u64; RUN_WORDS] {
        [u64::from(self.segment) | u64::from(self.link_words) << 32, self.lease, self.link]
    }

    fn decode([word, lease, link]: [u64; RUN_WORDS]) -> ListedRun {
        ListedRun { segment: word as u32, link_words: (word >> 32) as u32, lease, link }
    }
}

/// What is listed of a stripe.
#[derive(Debug)]
struct Part {
    segments: Vec<Listed>,
    runs: Vec<(usize, Run)>,
    rows: Vec<Row>,
    /// For each word of the directory the row that it names.
    names: Vec<u32>,
}

/// A checkpoint whose tables make sense.
#[derive(Debug)]
struct Contents<'a> {
    area: Area<'a>,
    parts: Vec<Part>,
    /// Where the slots begin.
    slots_at: usize,
    pages: usize,
    /// Words from its beginning to its end.
    extent: usize,
}

impl Engine {
    /// Stores the index behind the first `segments` segments, which are all that are leased, and answers where; `None` if it
    /// is not worth it or there is no room. Everything is sealed and durable, and nobody else uses the engine.
    pub(crate) fn store_checkpoint(
        &self,
        file: &FileLog,
        segments: usize,
        census: u64,
    ) -> Option<Range<u64>> {
        let moment = self.moment();
        let (mut stripes, mut listed, mut pages) = (Vec::new(), Vec::new(), Vec::new());
        let mut runs = BTreeMap::new();
        let mut used = 0;
        for number in 0..self.stripes.len() {
            let writer = self.lock_stripe(number, &moment).ok()?;
            let before = (listed.len(), pages.len());
            listed.extend(writer.list_segments(file).ok()?);
            runs.extend(writer.state.runs.iter().map(|(segment, run)| (*segment, *run)));
            let directory = &writer.stripe.directory;
            for (bits, head) in directory.heads(&self.index) {
                let bits = std::iter::once(bits).chain(std::iter::repeat(0));
                pages.extend(self.index.chain(head).zip(bits));
            }
            let (segments, pages) = (listed.len() - before.0, pages.len() - before.1);
            stripes.push(u64::from(directory.depth()) | (segments as u64) << 32);
            stripes.push(pages as u64);
            used += writer.stripe.counters.used_words.get();
        }
        let slots: usize = pages.iter().map(|(page, _)| self.index.outline(*page).entries).sum();
        let head = Head {
            epoch: file.epoch(),
            census,
            leases: file.header().leases,
            segments: listed.len() as u64,
            runs: runs.len() as u64,
            pages: pages.len() as u64,
            slots: slots as u64,
        };
        let slots_at = HEAD_WORDS + head.table_words(self.stripes.len());
        let extent = Area::extent(slots_at + slots, self.geometry.segment_words());
        let spending = self.space.spending();
        let leased = spending.leased * self.geometry.segment_bytes() + spending.run_bytes;
        // To read so much would take as long as to read the records, or it would pass the cap.
        if slots_at + slots > used || (leased + extent * WORD) as u64 > self.space.max_bytes() {
            return None;
        }
        let byte = file.byte_of(segments);
        let words = file.prepare_words(byte, extent).ok()?;
        let area = Area { words, segment_words: self.geometry.segment_words() };

        let mut tables = stripes;
        tables.extend(listed.iter().flat_map(Listed::encode));
        tables.extend(runs.into_iter().flat_map(|(segment, run)| {
            let (segment, link_words) = (segment as u32, run.link_words as u32);
            ListedRun { segment, link_words, lease: run.lease, link: run.link as u64 }.encode()
        }));
        let mut at = slots_at;
        let mut slots = Vec::with_capacity(PAGE_WORDS);
        for (page, bits) in pages {
            slots.clear();
            slots.extend(self.index.slots_asleep(page).map(|slot| slot.0));
            let outline = self.index.outline(page);
            debug_assert_eq!(outline.entries, slots.len(), "I3: the row counts the slots");
            let row = Row {
                sum: sum_of_words(0, &slots),
                entries: slots.len(),
                depth: outline.depth,
                inseparable: outline.inseparable,
                continues: outline.overflow.is_some(),
                bits,
            };
            tables.extend(row.encode());
            area.store(at, &slots);
            at += slots.len();
        }
        area.store(0, &head.encode(&tables));
        area.store(HEAD_WORDS, &tables);
        Some(byte..byte + (extent * WORD) as u64)
    }

    /// Takes over the index of a closed file, whose stripes have leased these segments and runs, of the first `total` segments.
    /// Answers the byte at which the checkpoint ends; `None` if there is any doubt, and then nothing has changed. Nobody else
    /// uses the engine yet.
    pub(crate) fn load_checkpoint(
        &self,
        file: &FileLog,
        windows: &[Vec<Unread>],
        runs: &Runs,
        total: usize,
    ) -> Result<Option<u64>> {
        let Some(contents) = self.read_tables(file, windows, runs) else { return Ok(None) };
        // Those before are of stripes without entries.
        let first_page = self.stripes.len();
        if first_page + contents.pages > self.geometry.pages {
            return Ok(None);
        }
        if !self.load_pages(&contents, first_page) {
            self.index.pages.decommit(first_page * PAGE_WORDS, contents.pages * PAGE_WORDS);
            return Ok(None);
        }
        let header = file.header();
        let leased: Vec<usize> = windows.iter().flatten().map(|unread| unread.segment).collect();
        self.adopt_segments(total, &leased, runs, header.leases + 1)?;
        let depths = contents.parts.iter().map(|part| part.names.len().trailing_zeros());
        let tables = depths.map(|depth| Directory::committed(depth) - Directory::committed(0));
        self.space.adopt_pages(contents.pages, tables.sum());
        let moment = self.moment();
        let mut page = first_page;
        for (number, (part, window)) in contents.parts.iter().zip(windows).enumerate() {
            let mut writer = self.lock_stripe(number, &moment)?;
            writer.state.writes = header.versions;
            writer.take_over(part, window, page);
            page += part.rows.len();
        }
        Ok(Some(header.checkpoint + (contents.extent * WORD) as u64))
    }

    /// The tables, if their sum is right, they are of this closing of the file and make sense.
    fn read_tables<'a>(
        &self,
        file: &'a FileLog,
        windows: &[Vec<Unread>],
        runs: &Runs,
    ) -> Option<Contents<'a>> {
        let header = file.header();
        let (epoch, byte) = (file.epoch(), header.checkpoint);
        let segment_words = self.geometry.segment_words();
        let words_of = |words: usize| {
            let words = file.words_at(byte, Area::extent(words, segment_words)).ok()?;
            Some(Area { words, segment_words })
        };
        let head_words = words_of(HEAD_WORDS)?.load(0, HEAD_WORDS);
        let head = Head::decode(&head_words)?;
        let belongs = (1..=2).contains(&epoch.wrapping_sub(head.epoch))
            && head.census == header.census
            && head.leases == header.leases;
        // Nothing is computed with them before they are known to be small.
        let most = file.file_words() as u64;
        if !belongs && !is_on(Mutant::StaleCheckpoint)
            || head.segments.max(head.runs).max(head.pages).max(head.slots) > most
        {
            return None;
        }
        let slots_at = HEAD_WORDS + head.table_words(self.stripes.len());
        let area = words_of(slots_at + head.slots as usize)?;
        let tables = area.load(HEAD_WORDS, slots_at - HEAD_WORDS);
        if head.encode(&tables)[..] != head_words {
            return None;
        }
        let (stripes, rest) = tables.split_at(self.stripes.len() * STRIPE_WORDS);
        let (segments, rest) = rest.split_at(head.segments as usize * SEGMENT_WORDS);
        let (listed_runs, rows) = rest.split_at(head.runs as usize * RUN_WORDS);
        let mut segments = segments.chunks(SEGMENT_WORDS).map(Listed::decode);
        let mut rows = rows.as_chunks().0.iter().map(|row| Row::decode(*row));
        let mut parts = Vec::new();
        let mut slots = 0;
        for (stripe, window) in stripes.chunks(STRIPE_WORDS).zip(windows) {
            let listed: Vec<Listed> = segments.by_ref().take((stripe[0] >> 32) as usize).collect();
            let rows: Vec<Row> =
                rows.by_ref().take(stripe[1] as usize).collect::<Option<Vec<Row>>>()?;
            slots += rows.iter().map(|row| row.entries).sum::<usize>();
            let same = listed.len() == window.len() || is_on(Mutant::StaleCheckpoint);
            if !same || !listed.iter().zip(window).all(|(listed, unread)| listed.is(unread)) {
                return None;
            }
            let names = name_rows(stripe[0] as u32, &rows, self.geometry.depth_max)?;
            parts.push(Part { segments: listed, runs: Vec::new(), rows, names });
        }
        let listed_runs = listed_runs.as_chunks().0.iter().map(|run| ListedRun::decode(*run));
        for (stripe, segment, run) in self.find_runs(listed_runs, windows, runs)? {
            parts[stripe].runs.push((segment, run));
        }
        let all = segments.next().is_none() && rows.next().is_none();
        (all && slots == head.slots as usize).then_some(Contents {
            area,
            parts,
            slots_at,
            pages: head.pages as usize,
            extent: Area::extent(slots_at + head.slots as usize, segment_words),
        })
    }

    /// The stripe, first segment and run of each listed run, if the file has them all and their links lie in the windows of
    /// their stripes.
    fn find_runs(
        &self,
        mut listed: impl Iterator<Item = ListedRun>,
        windows: &[Vec<Unread>],
        runs: &Runs,
    ) -> Option<Vec<(usize, usize, Run)>> {
        if runs.is_empty() {
            return listed.next().is_none().then(Vec::new);
        }
        let windows = windows.iter().enumerate();
        let segments: HashMap<usize, (usize, usize)> = windows
            .flat_map(|(stripe, window)| window.iter().map(move |unread| (stripe, unread)))
            .map(|(stripe, unread)| (unread.segment, (stripe, unread.used_words)))
            .collect();
        let mut least = 0;
        let find = |listed: ListedRun| {
            let segment = listed.segment as usize;
            let lease = runs.get(&segment).filter(|lease| lease.number == listed.lease)?;
            let in_order = segment >= std::mem::replace(&mut least, segment + 1);
            let (link, link_words) =
                (usize::try_from(listed.link).ok()?, listed.link_words as usize);
            let (stripe, used_words) = *segments.get(&self.geometry.segment_of(link))?;
            let words = link & (self.geometry.segment_words() - 1);
            let fits = words >= SEGMENT_HEADER_WORDS && words + link_words <= used_words;
            let words = (lease.run as usize) << self.geometry.segment_shift;
            (in_order && fits && stripe as u64 == lease.stripe).then_some((
                stripe,
                segment,
                Run { words, lease: lease.number, link, link_words },
            ))
        };
        listed.map(find).collect()
    }

    /// Copies all slots to pages from `first_page` on; whether their sums are right.
    fn load_pages(&self, contents: &Contents<'_>, first_page: usize) -> bool {
        let rows: Vec<Row> =
            contents.parts.iter().flat_map(|part| part.rows.iter().copied()).collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.min(rows.len() / PAGES_PER_THREAD).max(1);
        let load = |mut page: usize, mut at: usize, rows: &[Row]| {
            rows.iter().all(|row| {
                let right = self.load_page(contents.area, at, page, row);
                at += row.entries;
                page += 1;
                right
            })
        };
        std::thread::scope(|scope| {
            let (mut page, mut at) = (first_page, contents.slots_at);
            let mut running = Vec::new();
            let mut shares = rows.chunks(rows.len().div_ceil(threads).max(1));
            let own = shares.next().unwrap_or(&[]);
            let first = (page, at);
            page += own.len();
            at += own.iter().map(|row| row.entries).sum::<usize>();
            for share in shares {
                running.push(scope.spawn(move || load(page, at, share)));
                page += share.len();
                at += share.iter().map(|row| row.entries).sum::<usize>();
            }
            let right = load(first.0, first.1, own);
            running.into_iter().fold(right, |right, thread| match thread.join() {
                Ok(other) => right && other,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }

    fn load_page(&self, area: Area<'_>, at: usize, page: usize, row: &Row) -> bool {
        let mut sum = 0;
        let mut to = self.index.page_words(page, row.entries);
        for piece in area.pieces(at, row.entries) {
            sum = sum_of_shared(sum, piece);
            let (here, rest) = to.split_at(piece.len());
            for (to, from) in here.iter().zip(piece) {
                // Whatever the file says: readers take none of it for an entry.
                to.store(Slot(from.load(Relaxed)).asleep().0, Relaxed);
            }
            to = rest;
        }
        sum == row.sum
    }
}

/// For each word of a directory of this depth the row that it names, if every word names one and every chain ends.
fn name_rows(depth: u32, rows: &[Row], depth_max: u32) -> Option<Vec<u32>> {
    const NOBODY: u32 = u32::MAX;
    if depth > depth_max || 1 << depth > (rows.len() * NAMES_PER_PAGE).max(FEW_NAMES) {
        return None;
    }
    let mut names = vec![NOBODY; 1 << depth];
    let mut continues = false;
    for (number, row) in rows.iter().enumerate() {
        let is_overflow = std::mem::replace(&mut continues, row.continues);
        if is_overflow {
            continue;
        }
        if row.depth > depth || row.bits >> row.depth != 0 {
            return None;
        }
        for name in names[row.bits as usize..].iter_mut().step_by(1 << row.depth) {
            if std::mem::replace(name, number as u32) != NOBODY {
                return None;
            }
        }
    }
    (!continues && !names.contains(&NOBODY)).then_some(names)
}

impl Writer<'_> {
    /// What a checkpoint says of the stripe's segments, oldest first.
    fn list_segments(&self, file: &FileLog) -> Result<Vec<Listed>> {
        let victim = self.state.victim.map(|victim| victim.segment);
        let sealed = self.state.sealed.iter().flatten().copied();
        let list = |segment: usize| {
            let account = self.engine.segments.account(segment);
            Ok(Listed {
                segment: segment as u32,
                live_words: account.live_words() as u32,
                lease: file.lease_in(segment)?,
                lifetimes: account.lifetimes(),
            })
        };
        victim.into_iter().chain(sealed).map(list).collect()
    }

    /// Takes over what a checkpoint says of the stripe, whose slots lie in pages from `first_page` on.
    fn take_over(&mut self, part: &Part, window: &[Unread], first_page: usize) {
        let (stripe, engine) = (self.stripe, self.engine);
        for (listed, unread) in part.segments.iter().zip(window) {
            let words = unread.used_words - SEGMENT_HEADER_WORDS;
            self.adopt(unread.segment, unread.lease);
            let account = engine.segments.account(unread.segment);
            account.add_used(words);
            account.add_live(listed.live_words as usize);
            stripe.counters.used_words.add(words);
            stripe.counters.live_words.add(listed.live_words as usize);
            stripe.counters.expiring_words.add(account.set_lifetimes(&listed.lifetimes));
            stripe.counters.slack_words.add(self.slack_of(unread.segment));
        }
        for (segment, run) in &part.runs {
            self.adopt_run(*segment, run.words, run.lease);
            stripe.counters.live_words.add(run.words);
        }
        self.state.runs = part.runs.iter().copied().collect();
        self.state.unread = window.to_vec();
        self.state.unread.sort_unstable_by_key(|unread| unread.segment);
        let mut is_overflow = false;
        for (number, row) in part.rows.iter().enumerate() {
            let page = first_page + number;
            let overflow = row.continues.then_some(page + 1);
            let (entries, depth, inseparable) = (row.entries, row.depth, row.inseparable);
            let outline = Outline { entries, depth, inseparable, overflow };
            engine.index.lay_to_sleep(page, outline, !is_overflow);
            is_overflow = row.continues;
            stripe.counters.entries.add(entries);
        }
        engine.space.give_back_page(stripe.directory.only_page(&engine.index));
        let names = part.names.iter().map(|row| first_page + *row as usize);
        stripe.directory.adopt(&engine.index, names);
    }
}
