//! A small seeded generator (SplitMix64): the same numbers on every machine and with every library version, so that a
//! printed seed reproduces a run.

/// The finaliser of SplitMix64: every bit of the answer depends on every bit of the word.
pub(crate) fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A number below `bound`, taken from a random word.
pub(crate) fn index(word: u64, bound: usize) -> usize {
    usize::try_from(word % bound as u64).expect("below a usize")
}

#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random { state: mix(seed) }
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        index(self.word(), bound)
    }

    /// Both ends included.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// As `below`, with small numbers more likely: the density falls with the logarithm.
    pub(crate) fn skewed(&mut self, bound: usize) -> usize {
        let cut = self.below(bound) + 1;
        self.below(cut)
    }
}
