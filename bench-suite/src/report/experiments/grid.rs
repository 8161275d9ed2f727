//! Values of engines under several conditions, block by block, and their comparison.

use std::collections::{BTreeMap, BTreeSet};

use crate::measure::statistics::{Spread, Verdict, paired_ratios};
use crate::report::format;
use crate::report::losses::Loss;
use crate::report::summary::{SUBJECT, Summary};

/// Which values are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Better {
    More,
    Less,
}

/// `K` is the condition.
#[derive(Debug)]
pub(in crate::report) struct Grid<K> {
    values: BTreeMap<K, BTreeMap<String, Vec<(u32, f64)>>>,
    better: Better,
}

impl<K: Ord + Copy> Grid<K> {
    pub(in crate::report) fn new(better: Better) -> Grid<K> {
        Grid { values: BTreeMap::new(), better }
    }

    pub(in crate::report) fn add(&mut self, condition: K, engine: &str, block: u32, value: f64) {
        let engines = self.values.entry(condition).or_default();
        engines.entry(engine.to_owned()).or_default().push((block, value));
    }

    pub(super) fn conditions(&self) -> BTreeSet<K> {
        self.values.keys().copied().collect()
    }

    fn of(&self, condition: K, engine: &str) -> Option<&[(u32, f64)]> {
        Some(self.values.get(&condition)?.get(engine)?)
    }

    pub(super) fn median(&self, condition: K, engine: &str) -> Option<f64> {
        let values = self.of(condition, engine)?;
        Some(Spread::of(values.iter().map(|(_, value)| *value))?.median)
    }

    /// The peer with the best median.
    fn best(&self, condition: K) -> Option<&str> {
        let sign = if self.better == Better::More { 1.0 } else { -1.0 };
        let engines = self.values.get(&condition)?.keys().map(String::as_str);
        engines
            .filter(|engine| *engine != SUBJECT)
            .filter_map(|engine| Some((engine, sign * self.median(condition, engine)?)))
            .max_by(|left, right| left.1.total_cmp(&right.1))
            .map(|(engine, _)| engine)
    }

    /// Ourselves over the best peer, from pairs within a block, and who that is.
    pub(super) fn against_best(&self, condition: K) -> Option<(&str, Spread)> {
        let best = self.best(condition)?;
        Some((best, self.against(condition, best)?))
    }

    /// Ourselves over a peer, from pairs within a block.
    pub(in crate::report) fn against(&self, condition: K, peer: &str) -> Option<Spread> {
        let ours = self.of(condition, SUBJECT)?;
        Spread::of(paired_ratios(ours, self.of(condition, peer)?))
    }

    /// The row `Nyala / best peer` and who that is, in the order of `conditions`.
    pub(super) fn sums(
        &self,
        conditions: impl IntoIterator<Item = K>,
    ) -> Vec<(String, Vec<String>)> {
        let duels: Vec<_> =
            conditions.into_iter().map(|condition| self.against_best(condition)).collect();
        if duels.iter().all(Option::is_none) {
            return Vec::new();
        }
        let cells = |show: &dyn Fn(&(&str, Spread)) -> String| {
            duels.iter().map(|duel| duel.as_ref().map_or_else(super::dash, show)).collect()
        };
        vec![
            (
                "Nyala / best peer".to_owned(),
                cells(&|(_, ratio)| format!("{} x", format::three(ratio.median))),
            ),
            ("  which is".to_owned(), cells(&|(engine, _)| (*engine).to_owned())),
        ]
    }

    /// The conditions in which the best peer does better than we, or as well.
    pub(in crate::report) fn losses(
        &self,
        summary: &Summary<'_>,
        measure: &str,
        place: impl Fn(K) -> String,
    ) -> Vec<Loss> {
        let won = if self.better == Better::More { Verdict::Ahead } else { Verdict::Behind };
        let loss = |condition| {
            let (engine, ratio) = self.against_best(condition)?;
            (ratio.verdict() != won).then(|| Loss {
                place: place(condition),
                measure: measure.to_owned(),
                peer: summary.title_of(engine).to_owned(),
                how: format!(
                    "{} x ({} to {}) of its {measure}",
                    format::three(ratio.median),
                    format::three(ratio.least),
                    format::three(ratio.most)
                ),
                undecided: ratio.verdict() == Verdict::NoDifference,
            })
        };
        self.values.keys().filter_map(|condition| loss(*condition)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(better: Better) -> Grid<u32> {
        let mut grid = Grid::new(better);
        for (engine, value) in [(SUBJECT, 2.0), ("slow", 1.0), ("fast", 4.0)] {
            for block in 0..3 {
                grid.add(7, engine, block, value + f64::from(block) * 0.1);
            }
        }
        grid
    }

    #[test]
    fn the_best_peer_is_who_has_the_better_median() {
        let (engine, ratio) = grid(Better::More)
            .against_best(7)
            .map(|(name, ratio)| (name.to_owned(), ratio))
            .unwrap();
        assert_eq!((engine.as_str(), ratio.verdict()), ("fast", Verdict::Behind));
        assert_eq!(grid(Better::Less).best(7), Some("slow"));
        assert_eq!(grid(Better::More).against_best(8), None);
    }

    #[test]
    fn losses_follow_the_direction() {
        let record = crate::report::tests::sample();
        let summary = Summary::of(&record);
        for better in [Better::More, Better::Less] {
            let losses = grid(better).losses(&summary, "operations a second", |at| at.to_string());
            assert_eq!(losses.len(), 1, "{better:?}");
            assert!(!losses[0].undecided);
        }
    }
}
