//! Opening: what each stripe's window of the file is, and what its records say.
//!
//! ```text
//! read what every segment says of itself
//! for each stripe: find its window; check every record of it              only reads
//! mark what is out as freed and what is void as discarded; sync           before anything can be appended
//! seal the last segment of each window where its records end; sync
//! let the records count, each over those before
//! the file is no longer clean; sync; free the runs that nothing names; sync
//! ```
//! FORMAT.md argues why that is what was acknowledged, whenever the process or the power went.

use std::collections::HashSet;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::file::large::Link;
use crate::file::links::{Remedy, Runs, broken_value};
use crate::file::log::FileLog;
use crate::file::mutant::{Mutant, is_on};
use crate::file::segment::{Found, Lease, State};
use crate::log::record::{Kind, Record};
use crate::log::segment::SEGMENT_HEADER_WORDS;
use crate::options::Access;

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
#[derive(Debug, Clone, Copy)]
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
    /// Those that count, oldest first, and the words that they use.
    window: Vec<(usize, usize)>,
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
#[derive(Debug, Default)]
struct Survey {
    /// Segments that were ever leased.
    total: usize,
    /// For each stripe its leases in order and its greatest one that was freed.
    stripes: Vec<Leases>,
    /// Those in use, whatever they hold.
    runs: Runs,
    /// Segments that say nothing that was written.
    damaged: Vec<usize>,
}

impl Engine {
    /// Takes over what a file holds. Nobody else uses the engine yet.
    pub(crate) fn recover(&self, file: &FileLog) -> Result<()> {
        if file.access() == Access::Write {
            file.finish_cut()?;
        }
        let header = file.header();
        let everything = header.clean || header.boot.is_same_boot(file.disk().boot_id());
        let Survey { total, stripes, runs, damaged } = self.survey(file, everything)?;
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
            self.plan(&leases, &runs, trust)
        };
        if header.clean
            && file.access() != Access::Salvage
            && file.census(file.segments())? != header.census
        {
            return Err(Error::Corrupt {
                what: "the segments are not those that the file was closed with",
                offset: header.first_segment(),
            });
        }
        if file.access() == Access::Salvage {
            return self.salvage(&stripes, &runs);
        }
        let plans: Vec<Plan> = self.side_by_side(stripes, total, plan)?;
        if file.access() == Access::Write {
            self.mark(file, &plans, &damaged)?;
        }
        let leased: Vec<usize> =
            plans.iter().flat_map(|plan| &plan.window).map(|(segment, _)| *segment).collect();
        let greatest = match is_on(Mutant::NumbersAgain) {
            true => greatest,
            false => header.leases,
        };
        let runs: Vec<(usize, usize)> =
            runs.iter().map(|(segment, lease)| (*segment, lease.run as usize)).collect();
        self.admit_size(&leased, &runs)?;
        self.space.adopt(total, &leased, &runs, greatest + 1);
        self.side_by_side(plans.into_iter().enumerate().collect(), total, |(number, plan)| {
            self.replay(number, &plan, header.versions)
        })?;
        if file.access() == Access::Write {
            file.begin_writing()?;
            self.free_orphans(file, &self.moment())?;
        }
        Ok(())
    }

    /// Refuses a file that holds more than the budget.
    fn admit_size(&self, leased: &[usize], runs: &[(usize, usize)]) -> Result<()> {
        let segments = leased.len() + runs.iter().map(|(_, segments)| segments).sum::<usize>();
        let (bytes, max_bytes) =
            ((segments * self.geometry.segment_bytes()) as u64, self.geometry.opened_bytes);
        if bytes <= max_bytes {
            return Ok(());
        }
        Err(Error::InvalidArgument(format!(
            "max_bytes = {max_bytes} bytes is too small for the file, whose segments take {bytes} bytes"
        )))
    }

    /// Lets every record count that is whole, whatever is wrong around it, in the order of leases.
    fn salvage(&self, stripes: &[Leases], runs: &Runs) -> Result<()> {
        for (number, stripe) in stripes.iter().enumerate() {
            let moment = self.moment();
            let mut writer = self.lock_stripe(number, &moment)?;
            let mut key = Vec::new();
            for leased in stripe.leased.iter().filter(|leased| leased.lease.number > stripe.freed) {
                writer.adopt(leased.segment);
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
                                writer.replay(record, run, &mut key, &moment)?;
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

    fn survey(&self, file: &FileLog, everything: bool) -> Result<Survey> {
        let mut stripes = vec![Leases::default(); self.stripes.len()];
        let (mut runs, mut damaged) = (Runs::new(), Vec::new());
        let mut total = 0;
        for found in file.found(file.segments()) {
            let (number, found) = found?;
            total = match found {
                Found::Blank | Found::Unfinished => continue,
                Found::Damaged if everything && file.access() != Access::Salvage => {
                    return Err(Error::Corrupt {
                        what: "neither header nor trailer of a segment is what was written",
                        offset: file.byte_of(number),
                    });
                }
                // A lease that was never synced.
                Found::Damaged => {
                    damaged.push(number);
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
        Ok(Survey { total, stripes, runs, damaged })
    }

    fn plan(&self, found: &Leases, runs: &Runs, trust: Trust) -> Result<Plan> {
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
        let mut plan = Plan::default();
        let mut at = start;
        while at < end {
            let leased = &leases[at];
            let (used, whole) = self.check_segment(leased);
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
                    plan.window.clear();
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
                self.check_nothing_behind(leased, used, trust)?;
            }
            plan.window.push((leased.segment, used));
            at += 1;
            if ends {
                plan.unsealed = true;
                break;
            }
        }
        let (whole, last) = (plan.window.len(), plan.window.last().copied());
        plan.links = self.settle_links(runs, &mut plan.window, |broken| {
            let number = leases[start + broken.index].lease.number;
            let durable = number <= trust.durable;
            if trust.everything || durable && !trust.unordered {
                let before = broken.run.saturating_mul(trust.segment_bytes);
                return Err(broken_value(trust.first_segment.saturating_add(before)));
            }
            if durable {
                plan.gone.push((broken.start, number));
                return Ok(Remedy::Gone);
            }
            Ok(Remedy::Cut)
        })?;
        at -= whole - plan.window.len();
        plan.unsealed |= plan.window.last().copied() != last;
        plan.out = leases[..start].iter().map(|leased| leased.segment).collect();
        plan.void = leases[at.max(start)..].iter().map(|leased| leased.segment).collect();
        Ok(plan)
    }

    /// Words up to the end of the last whole record, and whether these are all that a seal promises.
    fn check_segment(&self, leased: &Leased) -> (usize, bool) {
        let first = self.geometry.first_word(leased.segment);
        let limit = match leased.state {
            State::Sealed { used_words } => used_words as usize,
            _ => self.geometry.segment_words() - self.geometry.trailer_words,
        };
        let mut used = SEGMENT_HEADER_WORDS;
        while let Some(record) =
            Record::whole(self.log.view(), first + used, limit - used, leased.lease.number)
        {
            used += record.header.extent();
        }
        (used, used == limit)
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

    fn mark(&self, file: &FileLog, plans: &[Plan], damaged: &[usize]) -> Result<()> {
        let mut marked = !damaged.is_empty();
        for segment in damaged {
            // Nobody has leased it. Left as it is, it would be an error when the file is opened again on the same boot.
            file.segment(*segment)?.blank(0);
        }
        for plan in plans {
            let out = plan.out.iter().map(|segment| (*segment, State::Freed));
            let void = plan.void.iter().filter(|_| !is_on(Mutant::UnmarkedVoid));
            let void = void.map(|segment| (*segment, State::Discarded));
            for (link, lease) in &plan.gone {
                // Else it would be an error when the file is opened again on the same boot.
                Record::at(self.log.view(), *link).bury(*lease);
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
            .filter_map(|plan| plan.window.last())
            .collect();
        for (segment, used_words) in &unsealed {
            file.set_state(*segment, State::Sealed { used_words: *used_words as u32 })?;
        }
        if unsealed.is_empty() { Ok(()) } else { file.sync() }
    }

    fn replay(&self, number: usize, plan: &Plan, versions: u64) -> Result<()> {
        let moment = self.moment();
        let mut writer = self.lock_stripe(number, &moment)?;
        writer.state.writes = versions;
        let mut key = Vec::new();
        for (segment, used) in &plan.window {
            writer.adopt(*segment);
            let first = self.geometry.first_word(*segment);
            let mut next = first + SEGMENT_HEADER_WORDS;
            while next < first + used {
                let record = Record::at(self.log.view(), next);
                let run = Link::of(&record).filter(|_| plan.links.contains(&next));
                let run = run.map(|link| self.geometry.first_word(link.segment as usize));
                let run = run.map(|word| Record::at(self.log.view(), word + SEGMENT_HEADER_WORDS));
                writer.replay(record, run, &mut key, &moment)?;
                next += record.header.extent();
            }
            writer.stripe.counters.slack_words.add(writer.slack_of(*segment));
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

fn corrupt(trust: Trust, leased: &Leased, what: &'static str) -> Error {
    let offset = trust.first_segment + leased.segment as u64 * trust.segment_bytes;
    Error::Corrupt { what, offset }
}
