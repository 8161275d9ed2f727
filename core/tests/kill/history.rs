//! The states that a key may be in, from what was told of it.

use std::collections::BTreeSet;

use super::story::{Answer, Deed};

/// What may be stored under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Absent,
    /// A value, or the sum of a counter, and how long it lives.
    Present(u64, Life),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Life {
    Forever,
    Long,
    /// Over when anybody looks again, but not at once.
    Short,
}

/// One key's operations that still matter.
#[derive(Debug, Clone)]
pub(crate) struct History {
    /// What it may have been before those.
    before: BTreeSet<State>,
    operations: Vec<Operation>,
}

#[derive(Debug, Clone, Copy)]
struct Operation {
    deed: Deed,
    /// Who does it: a key's thread, or one that clears.
    by: u32,
    /// When it ended; of one that died with its process nobody knows whether it happened.
    ended: Option<Option<Answer>>,
}

impl History {
    pub(crate) fn new() -> History {
        History { before: BTreeSet::from([State::Absent]), operations: Vec::new() }
    }

    pub(crate) fn begin(&mut self, by: u32, deed: Deed) {
        self.operations.push(Operation { deed, by, ended: None });
    }

    pub(crate) fn end(&mut self, by: u32, answer: Answer) -> Result<(), String> {
        let mut running = self.operations.iter_mut();
        let ended = running.find(|operation| operation.by == by && operation.ended.is_none());
        ended.ok_or("an operation ended that had not begun")?.ended = Some(Some(answer));
        self.settle()
    }

    /// The process is dead: what was under way happened or did not.
    pub(crate) fn die(&mut self) -> Result<(), String> {
        for operation in &mut self.operations {
            operation.ended.get_or_insert(None);
        }
        self.settle()
    }

    /// What it was seen to be, after everything.
    pub(crate) fn see(&mut self, state: State) {
        self.before = BTreeSet::from([state]);
    }

    pub(crate) fn states(&self) -> &BTreeSet<State> {
        &self.before
    }

    /// Once nothing is under way, follows what has ended in each order that is possible.
    fn settle(&mut self) -> Result<(), String> {
        if self.operations.iter().any(|operation| operation.ended.is_none()) {
            return Ok(());
        }
        let operations = std::mem::take(&mut self.operations);
        // Those of one thread follow each other; a clear may come between any of them. As those that overlap a clear are
        // few, all of them may come before or behind it, wherever they began.
        let mut states = BTreeSet::new();
        let (clears, own): (Vec<&Operation>, Vec<&Operation>) =
            operations.iter().partition(|operation| operation.deed == Deed::Clear);
        let mut reached: BTreeSet<(usize, usize, State)> =
            self.before.iter().map(|state| (0, 0, *state)).collect();
        while let Some((done, cleared, state)) = reached.pop_first() {
            if done == own.len() && cleared == clears.len() {
                states.insert(state);
            }
            if let Some(operation) = own.get(done) {
                let after = operation.after(state);
                reached.extend(after.into_iter().map(|state| (done + 1, cleared, state)));
            }
            if let Some(operation) = clears.get(cleared) {
                let after = operation.after(state);
                reached.extend(after.into_iter().map(|state| (done, cleared + 1, state)));
            }
        }
        if states.is_empty() {
            return Err(format!(
                "no order explains the answers of {operations:?} from {:?}",
                self.before
            ));
        }
        self.before = states;
        Ok(())
    }
}

impl Operation {
    /// The states that it may lead to from this one; none if that contradicts its answer.
    fn after(&self, state: State) -> Vec<State> {
        let Some(answer) = self.ended.flatten() else {
            let mut states = vec![state];
            states.extend(self.outcomes(state).into_iter().map(|(_, state)| state));
            return states;
        };
        if answer == Answer::Full {
            return vec![state];
        }
        let matches = |(outcome, _): &(Answer, State)| *outcome == answer;
        self.outcomes(state).into_iter().filter(matches).map(|(_, state)| state).collect()
    }

    /// What it may answer, and what is there then.
    fn outcomes(&self, state: State) -> Vec<(Answer, State)> {
        let done = Answer::Done(0);
        // An entry that lives for a moment only may be gone already.
        let seen = match state {
            State::Present(_, Life::Short) => vec![state, State::Absent],
            other => vec![other],
        };
        let each = |seen: State| match (self.deed, seen) {
            (Deed::Set(number) | Deed::SetFrame(number), _) => {
                (done, State::Present(number, Life::Forever))
            }
            (Deed::SetLong(number), _) => (done, State::Present(number, Life::Long)),
            (Deed::SetShort(number), _) => (done, State::Present(number, Life::Short)),
            (Deed::Increment, State::Present(sum, life)) => {
                (Answer::Done(sum + 1), State::Present(sum + 1, life))
            }
            (Deed::Increment, State::Absent) => (Answer::Done(1), State::Present(1, Life::Forever)),
            (Deed::Clear, _) => (done, State::Absent),
            (Deed::Delete, State::Present(..)) => (done, State::Absent),
            (Deed::Persist, State::Present(number, Life::Long | Life::Short)) => {
                (done, State::Present(number, Life::Forever))
            }
            (Deed::Expire, State::Present(number, _)) => (done, State::Present(number, Life::Long)),
            (Deed::ExpireSoon, State::Present(number, _)) => {
                (done, State::Present(number, Life::Short))
            }
            (_, unchanged) => (Answer::Missing, unchanged),
        };
        seen.into_iter().map(each).collect()
    }
}
