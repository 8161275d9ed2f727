//! An exact Zipf distribution over N ranks.
//!
//! Rejection-inversion (Hörmann and Derflinger, 1996): draws from the continuous envelope of `x^-s` and rejects the
//! difference, so that rank `k` comes with probability `k^-s / sum(i^-s)` for exactly the N ranks in use. The
//! approximation that is common in benchmarks draws from 10^10 ranks and folds them, which at a million keys gives the
//! hottest one 3.8 % of the requests where Zipf 0.99 gives 6.5 %.

use super::keys::Random;

/// Ranks 0 (hottest) to N - 1.
#[derive(Debug, Clone)]
pub(crate) struct Zipf {
    ranks: f64,
    exponent: f64,
    integral_first: f64,
    integral_last: f64,
    shortcut: f64,
}

impl Zipf {
    /// `exponent` is positive and not 1.
    pub(crate) fn new(ranks: u32, exponent: f64) -> Zipf {
        let ranks = f64::from(ranks.max(1));
        let mut zipf =
            Zipf { ranks, exponent, integral_first: 0.0, integral_last: 0.0, shortcut: 0.0 };
        zipf.integral_first = zipf.integral(1.5) - 1.0;
        zipf.integral_last = zipf.integral(ranks + 0.5);
        zipf.shortcut = 2.0 - zipf.integral_inverse(zipf.integral(2.5) - zipf.density(2.0));
        zipf
    }

    fn density(&self, x: f64) -> f64 {
        x.powf(-self.exponent)
    }

    /// An antiderivative of the density.
    fn integral(&self, x: f64) -> f64 {
        let power = 1.0 - self.exponent;
        (x.powf(power) - 1.0) / power
    }

    fn integral_inverse(&self, y: f64) -> f64 {
        let power = 1.0 - self.exponent;
        // Rounding may take the base a little below zero at the far end.
        (1.0 + y * power).max(0.0).powf(1.0 / power)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "clamped to 1..=ranks, and ranks came from a u32"
    )]
    #[expect(clippy::cast_sign_loss, reason = "clamped to 1..=ranks")]
    pub(crate) fn rank(&self, random: &mut Random) -> u32 {
        loop {
            let y =
                self.integral_last + random.fraction() * (self.integral_first - self.integral_last);
            let x = self.integral_inverse(y);
            let k = x.round().clamp(1.0, self.ranks);
            if k - x <= self.shortcut || y >= self.integral(k + 0.5) - self.density(k) {
                return k as u32 - 1;
            }
        }
    }
}

/// Which entry holds which rank: a random permutation, so that hot entries are neighbours neither in key nor in memory.
pub(crate) fn scrambled(entries: u32, seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..entries).collect();
    Random::new(seed, 0x5c4a_3b1e).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frequencies(ranks: u32, exponent: f64, draws: u32) -> Vec<f64> {
        let zipf = Zipf::new(ranks, exponent);
        let mut random = Random::new(11, 0);
        let mut counts = vec![0.0; ranks as usize];
        for _ in 0..draws {
            counts[zipf.rank(&mut random) as usize] += 1.0;
        }
        counts
    }

    fn expected(ranks: u32, exponent: f64, draws: u32) -> Vec<f64> {
        let weights: Vec<f64> = (1..=ranks).map(|k| f64::from(k).powf(-exponent)).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum * f64::from(draws)).collect()
    }

    /// Pearson's statistic has mean `ranks - 1` and standard deviation `sqrt(2 (ranks - 1))` if the law is exact.
    #[test]
    fn frequencies_are_exact() {
        for (ranks, exponent) in [(1000, 0.99), (1000, 0.5), (100, 1.2), (2, 0.99)] {
            let draws = 2_000_000;
            let counts = frequencies(ranks, exponent, draws);
            let statistic: f64 = counts
                .iter()
                .zip(expected(ranks, exponent, draws))
                .map(|(count, mean)| (count - mean).powi(2) / mean)
                .sum();
            let freedom = f64::from(ranks - 1);
            assert!(
                (statistic - freedom).abs() < 5.0 * (2.0 * freedom).sqrt(),
                "{ranks} ranks, exponent {exponent}: statistic {statistic:.1} for {freedom} degrees of freedom"
            );
        }
    }

    #[test]
    fn the_hottest_of_a_million_gets_six_and_a_half_per_cent() {
        let zipf = Zipf::new(1_000_000, 0.99);
        let mut random = Random::new(1, 0);
        let draws = 1_000_000;
        let hottest = (0..draws).filter(|_| zipf.rank(&mut random) == 0).count();
        let share = hottest as f64 / f64::from(draws);
        assert!((0.064..0.068).contains(&share), "{share}");
    }

    #[test]
    fn one_rank_is_always_drawn() {
        let zipf = Zipf::new(1, 0.99);
        let mut random = Random::new(1, 0);
        assert!((0..1000).all(|_| zipf.rank(&mut random) == 0));
    }

    #[test]
    fn a_permutation_has_every_entry_once() {
        let mut order = scrambled(10_000, 3);
        order.sort_unstable();
        assert!(order.iter().zip(0..).all(|(entry, number)| *entry == number));
    }
}
