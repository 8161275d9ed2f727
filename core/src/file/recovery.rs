//! Opening: what each stripe's window of the file is, and what its records say.
//!
//! ```text
//! read what every segment says of itself
//! for each stripe: find its window; check every record of it              only reads
//! cut windows off where a frame would be there in part, and where what that uncovers is a link without its run
//! mark what is out as freed and what is void as discarded; sync           before anything can be appended
//! seal the last segment of each window where its records end; sync
//! let the records count, each over those before
//! the file is no longer clean; sync; free the runs that nothing names; sync
//! ```
//! FORMAT.md argues why that is what was acknowledged, whenever the process or the power went.

use std::collections::HashSet;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::file::cut::{Kept, Window};
use crate::file::large::Link;
use crate::file::links::{Remedy, Runs, broken_value};
use crate::file::log::FileLog;
use crate::file::mutant::{Mutant, is_on};
use crate::file::progress::Meter;
use crate::file::segment::{Found, Lease, State};
use crate::file::wake::Unread;
use crate::file::window::Replayed;
use crate::log::record::{Kind, Record};
use crate::log::segment::SEGMENT_HEADER_WORDS;
use crate::options::Access;

/// Records whose cache misses overlap when they are made to count.
const GROUP: usize = 32;
/// Segments that are worth a thread.
const SEGMENTS_PER_THREAD: usize = 32;

/// A segment that a stripe leased and that nobody freed.
#[derive(Debug, Clone, Copy)]
struct Leased {
    segment: usize,
    lease: Lease,
    state: State,
}

/// What was found of one stripe.
#[derive(Debug, Clone, Default)]
struct Leases {
    /// In the order of their numbers.
    leased: Vec<Leased>,
    /// The greatest lease that was freed.
    freed: u64,
}

/// How far what is found may be believed.
#[derive(Debug, Clone, Copy, Default)]
struct Trust {
    /// Every word that was stored is there: the file was closed, or the system is still running.
    everything: bool,
    /// All leases up to here are durable as they were sealed, unless the file is unordered.
    durable: u64,
    unordered: bool,
    /// Where segments lie, for errors.
    first_segment: u64,
    segment_bytes: u64,
}

/// What becomes of the segments of one stripe.
#[derive(Debug, Default)]
struct Plan {
    /// Reclaimed before, whatever they say.
    out: Vec<usize>,
    /// Those that count, and how far they may be believed.
    window: Window,
    trust: Trust,
    /// Whether the last of these must be sealed.
    unsealed: bool,
    /// Behind a hole.
    void: Vec<usize>,
    /// Where the links lie that count.
    links: HashSet<usize>,
    /// Where links lie that count but whose keys are gone, and under which lease.
    gone: Vec<(usize, u64)>,
}

/// What all segments say of themselves.
#[derive(Debug)]
struct Survey {
    /// Segments that were ever leased.
    total: usize,
    /// For each stripe its leases in order, and its greatest one that was freed.
    stripes: Vec<Leases>,
    /// Those in use, whatever they hold.
    runs: Runs,
    /// Segments whose lease was never synced, so that they say nothing that was written.
    torn: Vec<usize>,
}

impl Engine {
    /// Takes over what a file holds. Nobody else uses the engine yet.
    pub(crate) fn recover(&self, file: &FileLog, meter: &Meter) -> Result<()> {
        let header = file.header();
        let everything = header.clean || header.boot.is_same_boot(file.disk().boot_id());
        let Survey { total, stripes, runs, torn } = self.survey(file, everything, meter)?;
        let bytes = (total * self.geometry.segment_bytes()) as u64;
        let numbers = stripes.iter().flat_map(|stripe| &stripe.leased);
        let greatest = numbers.map(|leased| leased.lease.number).max().unwrap_or(0);
        let plan = |leases: Leases| {
            let durable =
                leases.leased.iter().map(|leased| leased.lease.durable).max().unwrap_or(0);
            let durable = durable.max(header.durable_lease);
            let trust = Trust {
                everything,
                durable,
                unordered: header.unordered,
                first_segment: header.first_segment(),
                segment_bytes: header.segment_bytes,
            };
            self.plan(&leases, &runs, trust, meter)
        };
        if header.clean
            && file.access() != Access::Salvage
            && file.census(file.segments())? != header.census
        {
            return Err(Error::corrupt(
                "the segments are not those that the file was closed with",
                header.first_segment(),
            ));
        }
        if file.access() == Access::Salvage {
            meter.expect(bytes);
            return self.salvage(&stripes, &runs, meter);
        }
        if (header.clean || is_on(Mutant::StaleCheckpoint))
            && header.checkpoint != 0
            && file.access() != Access::Verify
            && let Some(windows) = all_sealed(&stripes)
            && let Some(end) = self.load_checkpoint(file, &windows, &runs, total)?
        {
            return self.begin_writing(file, end);
        }
        // Each record is checked, then counts.
        meter.expect(2 * bytes);
        let mut plans: Vec<Plan> = self.side_by_side(stripes, total, plan)?;
        if !header.clean {
            self.cut(&mut plans, &runs)?;
        }
        if file.access() == Access::Write {
            self.mark(file, &plans, &torn)?;
        }
        let kept = plans.iter().flat_map(|plan| &plan.window.kept);
        let leased: Vec<usize> = kept.map(|kept| kept.segment).collect();
        let greatest = match is_on(Mutant::NumbersAgain) {
            true => greatest,
            false => header.leases,
        };
        self.adopt_segments(total, &leased, &runs, greatest + 1)?;
        self.side_by_side(plans.into_iter().enumerate().collect(), total, |(number, plan)| {
            self.replay(number, &plan, file, meter)
        })?;
        if file.access() == Access::Write && !header.clean {
            // What the header is going to call durable.
            file.sync()?;
        }
        self.begin_writing(file, header.durable_len)
    }

    /// What a closed file has behind the byte `end` means nothing.
    fn begin_writing(&self, file: &FileLog, end: u64) -> Result<()> {
        if file.access() != Access::Write {
            return Ok(());
        }
        file.finish_cut(end)?;
        file.begin_writing()?;
        self.free_orphans(file, &self.moment())
    }

    /// Takes over segments and runs, of the first `total` segments, unless they are more than the budget.
    pub(crate) fn adopt_segments(
        &self,
        total: usize,
        leased: &[usize],
        runs: &Runs,
        next_lease: u64,
    ) -> Result<()> {
        let runs: Vec<(usize, usize)> =
            runs.iter().map(|(segment, lease)| (*segment, lease.run as usize)).collect();
        let segments = leased.len() + runs.iter().map(|(_, segments)| segments).sum::<usize>();
        let (bytes, max_bytes) =
            ((segments * self.geometry.segment_bytes()) as u64, self.geometry.opened_bytes);
        if bytes > max_bytes {
            return Err(Error::InvalidArgument(format!(
                "max_bytes = {max_bytes} bytes is too small for the file, whose segments take {bytes} bytes"
            )));
        }
        self.space.adopt(total, leased, &runs, next_lease);
        Ok(())
    }

    /// Lets every record count that is whole, whatever is wrong around it, in the order of leases.
    fn salvage(&self, stripes: &[Leases], runs: &Runs, meter: &Meter) -> Result<()> {
        for (number, stripe) in stripes.iter().enumerate() {
            let moment = self.moment();
            let mut writer = self.lock_stripe(number, &moment)?;
            let mut key = Vec::new();
            for leased in stripe.leased.iter().filter(|leased| leased.lease.number > stripe.freed) {
                meter.advance(self.geometry.segment_bytes() as u64)?;
                writer.adopt(leased.segment, leased.lease.number);
                let first = self.geometry.first_word(leased.segment);
                let end = self.geometry.segment_words() - self.geometry.trailer_words;
                let mut next = SEGMENT_HEADER_WORDS;
                while next < end {
                    let room = end - next;
                    let number = leased.lease.number;
                    match Record::whole(self.log.view(), first + next, room, number) {
                        Some(record) => {
                            let run = self.whole_run(runs, &record);
                            if run.is_some() || record.header.kind() != Some(Kind::Link) {
                                let hash = writer.prefetch_bucket(&record, &mut key);
                                writer.replay(Replayed { record, run, hash }, &mut key, &moment)?;
                            }
                            next += record.header.extent();
                        }
                        None => next += 1,
                    }
                }
                writer.stripe.counters.slack_words.add(writer.slack_of(leased.segment));
            }
        }
        Ok(())
    }

    fn survey(&self, file: &FileLog, everything: bool, meter: &Meter) -> Result<Survey> {
        let mut stripes = vec![Leases::default(); self.stripes.len()];
        let (mut runs, mut torn) = (Runs::new(), Vec::new());
        let mut total = 0;
        for found in file.found(file.segments()) {
            meter.advance(0)?;
            let (number, found) = found?;
            total = match found {
                Found::Blank | Found::Unfinished => continue,
                Found::Damaged if everything && file.access() != Access::Salvage => {
                    return Err(Error::corrupt(
                        "neither header nor trailer of a segment is what was written",
                        file.byte_of(number),
                    ));
                }
                // A lease that was never synced.
                Found::Damaged => {
                    torn.push(number);
                    number + 1
                }
                Found::Leased { lease, state: State::InUse, .. } if lease.run > 0 => {
                    runs.insert(number, lease);
                    number + lease.run as usize
                }
                // So many segments without a lease.
                Found::Leased { lease, .. } if lease.run > 0 => number + 1,
                Found::Leased { lease, state, .. } => {
                    let stripe = &mut stripes[lease.stripe as usize];
                    match state {
                        State::Freed => stripe.freed = stripe.freed.max(lease.number),
                        State::Discarded => {}
                        _ => stripe.leased.push(Leased { segment: number, lease, state }),
                    }
                    number + 1
                }
            };
        }
        if total > self.geometry.segments {
            return Err(Error::InvalidArgument(format!(
                "max_bytes = {} bytes is too small for the file, whose segments end at byte {}",
                self.geometry.opened_bytes,
                file.byte_of(total)
            )));
        }
        for stripe in &mut stripes {
            stripe.leased.sort_by_key(|leased| leased.lease.number);
        }
        Ok(Survey { total, stripes, runs, torn })
    }

    fn plan(&self, found: &Leases, runs: &Runs, trust: Trust, meter: &Meter) -> Result<Plan> {
        let leases = &found.leased;
        let oldest = leases.iter().map(|leased| leased.lease.oldest).max().unwrap_or(0);
        let is_out =
            |leased: &Leased| leased.lease.number <= found.freed || leased.lease.number < oldest;
        let mut start = leases.partition_point(is_out);
        let mut end = leases.len();
        for at in start + 1..leases.len() {
            let (before, lease) = (&leases[at - 1].lease, &leases[at].lease);
            if lease.previous == before.number {
                continue;
            }
            if trust.everything {
                return Err(corrupt(trust, &leases[at], "a segment between two others is missing"));
            }
            if lease.previous > trust.durable {
                end = at;
                break;
            }
            // It was reclaimed and leased anew, and with it all before.
            start = at;
        }
        let mut plan = Plan { trust, ..Plan::default() };
        let known = found.freed.max(oldest.saturating_sub(1)).max(trust.durable);
        let mut at = start;
        while at < end {
            let leased = &leases[at];
            meter.advance(self.geometry.segment_bytes() as u64)?;
            let (kept, whole) = self.check_segment(leased);
            let ends = match leased.state {
                State::Sealed { .. } if whole => false,
                State::Sealed { .. } if trust.everything => {
                    return Err(corrupt(trust, leased, "a record is not what was written"));
                }
                State::Sealed { .. } if leased.lease.number <= trust.durable => {
                    if !trust.unordered {
                        return Err(corrupt(
                            trust,
                            leased,
                            "a durable record is not what was written",
                        ));
                    }
                    plan.window.kept.clear();
                    start = at + 1;
                    at += 1;
                    continue;
                }
                _ => true,
            };
            if ends && trust.everything {
                if at + 1 < leases.len() {
                    return Err(corrupt(
                        trust,
                        leased,
                        "a segment was never sealed, but has successors",
                    ));
                }
                self.check_nothing_behind(leased, kept.used, trust)?;
            }
            plan.window.kept.push(kept);
            at += 1;
            if ends {
                plan.unsealed = true;
                break;
            }
        }
        plan.out = leases[..start].iter().map(|leased| leased.segment).collect();
        plan.void = leases[at.max(start)..].iter().map(|leased| leased.segment).collect();
        self.settle(&mut plan, runs)?;
        plan.window.count_past();
        plan.window.known = known;
        plan.window.whole = trust.durable;
        let first = leases.get(start).map(|leased| leased.lease);
        let (number, previous) = first.map_or((0, 0), |first| (first.number, first.previous));
        if trust.everything {
            // Only what was being written can be there in part.
            let last = plan.window.kept.last().map_or(0, |kept| kept.lease);
            plan.window.whole = plan.window.whole.max(last.saturating_sub(1));
        }
        if trust.unordered || is_on(Mutant::CopyOfPart) {
            // What is missing before is lost, or was copied and is lost or not: nobody knows.
            plan.window.known = known.max(number.saturating_sub(1));
        } else if !trust.everything && previous > known.max(plan.window.past) {
            // Nothing says that the one before was reclaimed: it is lost, and this is behind a hole.
            plan.void.extend(plan.window.kept.drain(..).map(|kept| kept.segment));
            plan.window.count_past();
            plan.unsealed = false;
        }
        Ok(plan)
    }

    /// Finds the links of a window that count, and cuts it off before one whose run is not whole; whether it did.
    fn settle(&self, plan: &mut Plan, runs: &Runs) -> Result<bool> {
        let Plan { window, trust, gone, .. } = plan;
        let before = window.kept.clone();
        gone.clear();
        plan.links = self.settle_links(runs, &mut window.kept, |broken| {
            let durable = broken.lease <= trust.durable;
            if trust.everything || durable && !trust.unordered {
                let before = broken.run.saturating_mul(trust.segment_bytes);
                return Err(broken_value(trust.first_segment.saturating_add(before)));
            }
            if durable {
                gone.push((broken.start, broken.lease));
                return Ok(Remedy::Gone);
            }
            Ok(Remedy::Cut)
        })?;
        let kept = plan.window.kept.len();
        let end = |kept: &[Kept]| kept.last().map(|kept| (kept.lease, kept.used));
        let shorter = end(&plan.window.kept) != end(&before);
        if shorter {
            plan.void.extend(before[kept..].iter().map(|kept| kept.segment));
            plan.unsealed = true;
            plan.window.count_past();
        }
        Ok(shorter)
    }

    /// Cuts windows off where a frame would be there in part. Links that this uncovers may have lost their runs, and then cut
    /// more off, so that other frames lack a share.
    fn cut(&self, plans: &mut [Plan], runs: &Runs) -> Result<()> {
        loop {
            let mut windows: Vec<Window> =
                plans.iter_mut().map(|plan| std::mem::take(&mut plan.window)).collect();
            let cuts = self.cut_frames(&mut windows);
            for (plan, window) in plans.iter_mut().zip(windows) {
                plan.window = window;
            }
            let mut shorter = false;
            for cut in cuts {
                let plan = &mut plans[cut.stripe];
                plan.void.extend(cut.void);
                plan.unsealed = true;
                shorter |= self.settle(plan, runs)?;
            }
            if !shorter {
                return Ok(());
            }
        }
    }

    /// Words up to the end of the last whole record, and whether these are all that a seal promises.
    fn check_segment(&self, leased: &Leased) -> (Kept, bool) {
        let first = self.geometry.first_word(leased.segment);
        let limit = match leased.state {
            State::Sealed { used_words } => used_words as usize,
            _ => self.geometry.segment_words() - self.geometry.trailer_words,
        };
        let (segment, lease) = (leased.segment, leased.lease.number);
        let mut kept = Kept { segment, lease, used: SEGMENT_HEADER_WORDS, ..Kept::default() };
        while let Some(record) =
            Record::whole(self.log.view(), first + kept.used, limit - kept.used, lease)
        {
            kept.learn(&record);
            kept.used += record.header.extent();
        }
        (kept, kept.used == limit)
    }

    /// Whoever died while appending leaves one record in part, and nothing behind it.
    fn check_nothing_behind(&self, leased: &Leased, used: usize, trust: Trust) -> Result<()> {
        let first = self.geometry.first_word(leased.segment);
        let end = self.geometry.segment_words() - self.geometry.trailer_words;
        let is_record = |word: &usize| {
            Record::whole(self.log.view(), first + word, end - word, leased.lease.number).is_some()
        };
        match (used + 1..end).find(is_record) {
            Some(_) => {
                Err(corrupt(trust, leased, "a record between two others is not what was written"))
            }
            None => Ok(()),
        }
    }

    fn mark(&self, file: &FileLog, plans: &[Plan], torn: &[usize]) -> Result<()> {
        let mut marked = !torn.is_empty();
        for segment in torn {
            // Nobody has leased it. Left as it is, it would be an error when the file is opened again on the same boot.
            file.make_ready(*segment, 1)?;
            file.segment(*segment)?.blank(0);
        }
        for plan in plans {
            let out = plan.out.iter().map(|segment| (*segment, State::Freed));
            let void = plan.void.iter().filter(|_| !is_on(Mutant::UnmarkedVoid));
            let void = void.map(|segment| (*segment, State::Discarded));
            for (link, lease) in &plan.gone {
                // Else it would be an error when the file is opened again on the same boot.
                let record = Record::at(self.log.view(), *link);
                file.make_writable(*link, record.header.extent())?;
                record.bury(*lease);
                marked = true;
            }
            for (segment, state) in out.chain(void) {
                file.set_state(segment, state)?;
                marked = true;
            }
        }
        if marked {
            file.sync()?;
        }
        let unsealed: Vec<_> = plans
            .iter()
            .filter(|plan| plan.unsealed)
            .filter_map(|plan| plan.window.kept.last())
            .collect();
        for kept in &unsealed {
            file.set_state(kept.segment, State::Sealed { used_words: kept.used as u32 })?;
        }
        if unsealed.is_empty() { Ok(()) } else { file.sync() }
    }

    fn replay(&self, number: usize, plan: &Plan, file: &FileLog, meter: &Meter) -> Result<()> {
        let moment = self.moment();
        let mut writer = self.lock_stripe(number, &moment)?;
        writer.state.writes = file.header().versions;
        let mut group = Vec::with_capacity(GROUP);
        let mut key = Vec::new();
        for kept in &plan.window.kept {
            meter.advance(self.geometry.segment_bytes() as u64)?;
            writer.adopt(kept.segment, kept.lease);
            let first = self.geometry.first_word(kept.segment);
            let (mut next, end) = (first + SEGMENT_HEADER_WORDS, first + kept.used);
            while next < end {
                group.clear();
                while group.len() < GROUP && next < end {
                    let record = Record::at(self.log.view(), next);
                    let run = Link::of(&record).filter(|_| plan.links.contains(&next));
                    let run = run.map(|link| self.run_record(link.segment as usize));
                    let hash = writer.prefetch_bucket(&record, &mut key);
                    group.push(Replayed { record, run, hash });
                    next += record.header.extent();
                }
                writer.prefetch_records(&group);
                for replayed in &group {
                    let counted = writer.replay(*replayed, &mut key, &moment);
                    counted.map_err(|error| error.behind(file.byte_of(0)))?;
                }
            }
            writer.stripe.counters.slack_words.add(writer.slack_of(kept.segment));
        }
        Ok(())
    }

    /// Does something for each stripe, on as many threads as there are cores and enough segments for.
    fn side_by_side<T: Send, R: Send>(
        &self,
        items: Vec<T>,
        segments: usize,
        work: impl Fn(T) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.min(items.len()).min(segments / SEGMENTS_PER_THREAD);
        if threads < 2 {
            return items.into_iter().map(work).collect();
        }
        let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
        let share = items.len().div_ceil(threads);
        let work = &work;
        std::thread::scope(|scope| {
            let running: Vec<_> = items
                .chunks_mut(share)
                .map(|chunk| {
                    scope.spawn(move || {
                        let items = chunk.iter_mut().filter_map(Option::take);
                        items.map(work).collect::<Result<Vec<R>>>()
                    })
                })
                .collect();
            let mut all = Vec::new();
            for thread in running {
                match thread.join() {
                    Ok(part) => all.extend(part?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(all)
        })
    }
}

/// The window of each stripe, if all its segments are sealed.
fn all_sealed(stripes: &[Leases]) -> Option<Vec<Vec<Unread>>> {
    let unread = |leased: &Leased| match leased.state {
        State::Sealed { used_words } => {
            let (segment, lease) = (leased.segment, leased.lease.number);
            Some(Unread { segment, lease, used_words: used_words as usize })
        }
        _ => None,
    };
    let window = |stripe: &Leases| stripe.leased.iter().map(unread).collect();
    stripes.iter().map(window).collect()
}

fn corrupt(trust: Trust, leased: &Leased, what: &'static str) -> Error {
    let offset = trust.first_segment + leased.segment as u64 * trust.segment_bytes;
    Error::corrupt(what, offset)
}
