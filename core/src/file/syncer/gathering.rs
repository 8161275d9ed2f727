//! Whether a sync waits until all are there who will need one.
//!
//! Writers that the last sync has served come back soon with their next write. If a sync starts before, for those who came
//! while the last one ran, the writers part into two groups that wait for each other's syncs, and each sync serves half of them.

use std::time::Duration;

/// Most syncs in a row that start at once after waiting was in vain.
const MOST_AT_ONCE: u32 = 15;

/// Longest that anybody waits for others, also where syncs take long.
const MOST_PATIENCE: Duration = Duration::from_millis(10);

/// What somebody who waits does, while no sync runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advice {
    /// Start the sync.
    Start,
    /// Wait for the others so long at most, then [`Gathering::give_up`].
    Gather(Duration),
    /// Somebody else gathers: wait for the sync's end.
    Wait,
}

#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// Writers that were there when the last sync ended: those that it served, and those who had come meanwhile.
    expected: u32,
    /// About how long a sync takes.
    took: Duration,
    /// Whether somebody waits for the others.
    under_way: bool,
    /// So many syncs start at once, and as many did after the last time that waiting was in vain, its own with them.
    at_once: u32,
    penalty: u32,
}

impl Gathering {
    /// For one of so many who wait.
    pub(super) fn advise(&mut self, waiting: u32) -> Advice {
        if waiting >= self.expected {
            if self.under_way {
                self.penalty = 0;
            }
        } else if self.under_way {
            return Advice::Wait;
        } else if self.at_once == 0 {
            self.under_way = true;
            // Longer than a sync, or the clock would wake who gathers just before the sync's end does.
            return Advice::Gather((self.took * 3 / 2).min(MOST_PATIENCE));
        } else {
            self.at_once -= 1;
        }
        self.under_way = false;
        Advice::Start
    }

    /// Not all have come in time.
    pub(super) fn give_up(&mut self) {
        self.under_way = false;
        self.penalty = (2 * self.penalty + 1).min(MOST_AT_ONCE);
        self.at_once = self.penalty;
    }

    /// A sync has ended, and so many writers were there.
    pub(super) fn note(&mut self, writers: u32, took: Duration) {
        self.expected = writers;
        self.took = (self.took + took) / 2;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SYNC: Duration = Duration::from_micros(100);

    fn after(writers: u32) -> Gathering {
        let mut gathering = Gathering::default();
        (0..40).for_each(|_| gathering.note(writers, SYNC));
        gathering
    }

    #[test]
    fn who_was_alone_does_not_wait() {
        assert_eq!(Gathering::default().advise(1), Advice::Start);
        assert_eq!(after(1).advise(1), Advice::Start);
    }

    #[test]
    fn the_last_to_come_starts_the_sync() {
        let mut gathering = after(3);
        assert!(
            matches!(gathering.advise(1), Advice::Gather(most) if most > SYNC && most < 2 * SYNC)
        );
        assert_eq!(gathering.advise(2), Advice::Wait);
        assert_eq!(gathering.advise(3), Advice::Start);
        gathering.note(3, SYNC);
        assert!(matches!(gathering.advise(1), Advice::Gather(_)));
    }

    #[test]
    fn patience_has_an_end_where_syncs_take_long() {
        let mut gathering = Gathering::default();
        gathering.note(2, Duration::from_secs(10));
        assert_eq!(gathering.advise(1), Advice::Gather(MOST_PATIENCE));
    }

    #[test]
    fn waiting_in_vain_becomes_rare() {
        let mut gathering = after(2);
        let mut gathers = 0;
        for _ in 0..160 {
            if matches!(gathering.advise(1), Advice::Gather(_)) {
                gathers += 1;
                gathering.give_up();
                // Asked again by the same writer.
                assert_eq!(gathering.advise(1), Advice::Start);
            }
            gathering.note(2, SYNC);
        }
        assert!((5..=14).contains(&gathers), "{gathers}");
        // Once all have come, it is worth it again.
        gathering.at_once = 0;
        assert!(matches!(gathering.advise(1), Advice::Gather(_)));
        assert_eq!((gathering.advise(2), gathering.penalty), (Advice::Start, 0));
    }
}
