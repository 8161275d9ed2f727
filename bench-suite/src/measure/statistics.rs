//! Medians and ranges over blocks: three to ten values, for which nothing finer would be honest.

/// The middle of several values and their extremes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` without values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (first, last) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Spread { median, least: first, most: last })
    }

    /// What a ratio's range over all blocks says.
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

/// Whether a ratio lies on one side of 1 in every block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ahead,
    Behind,
    /// The blocks disagree: the difference is within the noise of this run.
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
