//! Latency histograms as they are recorded: the filled buckets alone, from which every quantile can be taken later.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A quantile `q` is given only from this many samples on, divided by `1 - q`.
const SAMPLES_BEYOND: f64 = 100.0;

/// Pairs of a bucket's highest value, in nanoseconds, and its count; values rise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Buckets(Vec<(u64, u64)>);

impl Buckets {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Buckets {
        Buckets(
            histogram
                .iter_recorded()
                .map(|step| {
                    (histogram.highest_equivalent(step.value_iterated_to()), step.count_at_value())
                })
                .collect(),
        )
    }

    pub(crate) fn samples(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// The sum of several histograms: blocks together have the samples that one of them lacks.
    pub(crate) fn merged<'a>(parts: impl Iterator<Item = &'a Buckets>) -> Buckets {
        let mut all: Vec<(u64, u64)> = parts.flat_map(|part| part.0.iter().copied()).collect();
        all.sort_unstable();
        all.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        Buckets(all)
    }

    /// The value that a share `q` of the samples does not pass, in nanoseconds; `None` with too few samples to say.
    pub(crate) fn quantile(&self, q: f64) -> Option<u64> {
        let samples = self.samples() as f64;
        if samples < SAMPLES_BEYOND / (1.0 - q) - 1e-6 {
            return None;
        }
        let wanted = samples * q;
        let mut seen = 0.0;
        for (value, count) in &self.0 {
            seen += *count as f64;
            if seen >= wanted {
                return Some(*value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform(samples: u64) -> Buckets {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        for value in 1..=samples {
            histogram.record(value).unwrap();
        }
        Buckets::of(&histogram)
    }

    #[test]
    fn quantiles_are_those_of_the_samples() {
        let buckets = uniform(100_000);
        assert_eq!(buckets.samples(), 100_000);
        for (q, expected) in [(0.5, 50_000.0), (0.99, 99_000.0), (0.999, 99_900.0)] {
            let value = buckets.quantile(q).unwrap() as f64;
            assert!((value / expected - 1.0).abs() < 0.002, "{q}: {value}");
        }
    }

    #[test]
    fn too_few_samples_give_no_quantile() {
        assert_eq!(uniform(199).quantile(0.5), None);
        assert!(uniform(200).quantile(0.5).is_some());
        assert_eq!(uniform(9_999).quantile(0.99), None);
        assert!(uniform(10_000).quantile(0.99).is_some());
        assert_eq!(Buckets::default().quantile(0.5), None);
    }

    #[test]
    fn merging_adds_counts() {
        let (a, b) = (uniform(1000), uniform(2000));
        let sum = Buckets::merged([&a, &b].into_iter());
        assert_eq!(sum.samples(), 3000);
        assert!(sum.0.is_sorted_by(|left, right| left.0 < right.0));
    }
}
