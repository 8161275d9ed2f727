//! Pairs that a load collects until they are worth one transaction.

use super::contract::GROUP;

/// Keys and values in one buffer, so that collecting them costs a copy and no allocation.
#[derive(Debug, Default)]
pub(crate) struct Grouped {
    bytes: Vec<u8>,
    /// Where each key and each value ends.
    ends: Vec<(usize, usize)>,
    collecting: bool,
}

impl Grouped {
    /// Whether writes are to be collected.
    #[inline]
    pub(crate) fn collects(&self) -> bool {
        self.collecting
    }

    pub(crate) fn collect(&mut self, on: bool) {
        self.collecting = on;
    }

    /// Adds a pair; whether the group is complete.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((key_end, self.bytes.len()));
        self.ends.len() == GROUP
    }

    /// The collected pairs, in their order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        starts.zip(&self.ends).map(|(start, (key_end, end))| {
            (&self.bytes[start..*key_end], &self.bytes[*key_end..*end])
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_back_in_their_order() {
        let mut group = Grouped::default();
        assert!(group.is_empty());
        for number in 1..=GROUP {
            let complete = group.push(&number.to_le_bytes(), &vec![7; number % 50]);
            assert_eq!(complete, number == GROUP);
        }
        assert!(group.pairs().zip(1..=GROUP).all(|((key, value), number)| {
            key == number.to_le_bytes() && value.len() == number % 50
        }));
        group.clear();
        assert_eq!(group.pairs().count(), 0);
    }
}
