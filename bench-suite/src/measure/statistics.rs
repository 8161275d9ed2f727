//! Medians over blocks with their 95 % bootstrap intervals, computed exactly instead of by drawing: of the median of values drawn with
//! replacement from `n` values, how likely each of them is to be it follows from the binomial law.

/// The part of the bootstrapped medians that is cut off at each end.
const TAIL: f64 = 0.025;

/// The middle of several values and its 95 % interval, which of six values or fewer is their range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    /// Ends of the interval.
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// Finite values in order.
fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// `values` is sorted and not empty.
fn median(values: &[f64]) -> f64 {
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

/// That at least `wanted` of `draws` are among the lowest `lowest` of as many values as there are draws.
fn chance(draws: usize, lowest: usize, wanted: usize) -> f64 {
    if lowest == draws {
        return 1.0;
    }
    let share = lowest as f64 / draws as f64;
    let mut exactly = (1.0 - share).powi(i32::try_from(draws).unwrap_or(i32::MAX));
    let mut sum = 0.0;
    for count in 0..=draws {
        if count >= wanted {
            sum += exactly;
        }
        exactly *= (draws - count) as f64 / (count + 1) as f64 * share / (1.0 - share);
    }
    sum
}

/// How likely each of `count` values in order is the middle of a resample: of an even number the lower middle or the upper one, so
/// that intervals come out wide rather than narrow.
fn likely(count: usize, upper: bool) -> Vec<f64> {
    let wanted = if upper { count / 2 + 1 } else { count.div_ceil(2) };
    let below: Vec<f64> = (0..=count).map(|lowest| chance(count, lowest, wanted)).collect();
    below.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// The value that a share of [`TAIL`] is below, of weighted values in order.
fn low_end(weighted: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let mut sum = 0.0;
    let mut last = None;
    for (value, weight) in weighted {
        sum += weight;
        last = Some(value);
        if sum > TAIL {
            break;
        }
    }
    last
}

impl Spread {
    /// `None` without values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let values = sorted(values);
        let count = values.len();
        let least = low_end(values.iter().copied().zip(likely(count, false)))?;
        let falling = values.iter().rev().copied();
        let most = low_end(falling.zip(likely(count, true).into_iter().rev()))?;
        Some(Spread { median: median(&values), least, most })
    }

    /// The ratio of two medians of values that are no pairs.
    pub(crate) fn of_ratio(
        above: impl IntoIterator<Item = f64>,
        below: impl IntoIterator<Item = f64>,
    ) -> Option<Spread> {
        let (above, below) = (sorted(above), sorted(below));
        if above.is_empty() || below.first().is_none_or(|least| *least <= 0.0) {
            return None;
        }
        let weighted = |upper: bool| {
            let (ours, theirs) = (likely(above.len(), upper), likely(below.len(), !upper));
            let mut all: Vec<(f64, f64)> = above
                .iter()
                .zip(ours)
                .flat_map(|(above, our)| {
                    below
                        .iter()
                        .zip(&theirs)
                        .map(move |(below, their)| (above / below, our * their))
                })
                .collect();
            all.sort_by(|left, right| left.0.total_cmp(&right.0));
            all
        };
        Some(Spread {
            median: median(&above) / median(&below),
            least: low_end(weighted(false).into_iter())?,
            most: low_end(weighted(true).into_iter().rev())?,
        })
    }

    /// Whether the intervals have a value in common.
    pub(crate) fn overlaps(&self, other: &Spread) -> bool {
        self.least <= other.most && other.least <= self.most
    }

    /// What a ratio's interval says.
    pub(crate) fn verdict(&self) -> Verdict {
        if self.least > 1.0 {
            Verdict::Ahead
        } else if self.most < 1.0 {
            Verdict::Behind
        } else {
            Verdict::NoDifference
        }
    }
}

/// Whether a ratio's interval lies on one side of 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ahead,
    Behind,
    /// It does not: the difference is within the noise of this run.
    NoDifference,
}

/// Ratios of pairs that were measured in the same block, by block number.
pub(crate) fn paired_ratios(ours: &[(u32, f64)], theirs: &[(u32, f64)]) -> Vec<f64> {
    ours.iter()
        .filter_map(|(block, ours)| {
            let (_, theirs) = theirs.iter().find(|(other, _)| other == block)?;
            (*theirs > 0.0).then(|| ours / theirs)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        let spread = Spread::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.least, spread.most), (2.0, 1.0, 3.0));
        assert!((Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap().median - 2.5).abs() < 1e-12);
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([f64::NAN]), None);
    }

    #[test]
    fn intervals_are_those_of_order_statistics() {
        let interval = |count: u32| {
            let spread = Spread::of((1..=count).map(f64::from)).unwrap();
            (spread.least, spread.most)
        };
        for (count, expected) in [(1, (1.0, 1.0)), (3, (1.0, 3.0)), (6, (1.0, 6.0))] {
            assert_eq!(interval(count), expected);
        }
        assert_eq!([interval(7), interval(10)], [(2.0, 6.0), (2.0, 9.0)]);
        // For many values the bootstrap is near the normal law: 1.96 times half of the square root.
        assert_eq!(interval(101), (41.0, 61.0));
        for count in 1..40 {
            let sums = [false, true].map(|upper| likely(count, upper).iter().sum::<f64>());
            assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-9), "{count}: {sums:?}");
        }
    }

    #[test]
    fn ratios_of_medians_have_intervals_too() {
        let ratio = Spread::of_ratio([2.0, 4.0, 6.0], [1.0, 2.0, 3.0]).unwrap();
        assert!((ratio.median - 2.0).abs() < 1e-12);
        assert!(ratio.least < 1.0 && ratio.most > 4.0, "{ratio:?}");
        let same = Spread::of_ratio([5.0; 4], [5.0; 9]).unwrap();
        assert_eq!((same.least, same.most), (1.0, 1.0));
        assert_eq!(Spread::of_ratio([1.0], [0.0]), None);
        assert_eq!(Spread::of_ratio([], [1.0]), None);
        assert!(same.overlaps(&ratio) && ratio.overlaps(&same));
        assert!(!same.overlaps(&Spread { median: 2.0, least: 1.5, most: 3.0 }));
    }

    #[test]
    fn pairs_stay_within_their_block() {
        let ours = [(0, 10.0), (1, 20.0), (2, 30.0)];
        let theirs = [(2, 10.0), (0, 5.0), (3, 1.0)];
        assert_eq!(paired_ratios(&ours, &theirs), [2.0, 3.0]);
        assert!(paired_ratios(&ours, &[(0, 0.0)]).is_empty());
    }

    #[test]
    fn a_verdict_needs_all_blocks() {
        let verdict = |values: [f64; 3]| Spread::of(values).unwrap().verdict();
        assert_eq!(verdict([1.1, 1.2, 1.3]), Verdict::Ahead);
        assert_eq!(verdict([0.9, 0.8, 0.7]), Verdict::Behind);
        assert_eq!(verdict([0.9, 1.2, 1.3]), Verdict::NoDifference);
    }
}
