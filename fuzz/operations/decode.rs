//! From bytes to operations. What the fuzzer changes in a few bytes should change one operation.

use crate::common::mix;
use crate::model::Op;

/// Bytes of an operation: how often, kind, key, value, detail.
const OP_LEN: usize = 13;

/// At most this often is an operation repeated, with another key and value each time: a few bytes fill a store.
const MOST_TIMES: u8 = 64;

/// Operations of an input at most, however often they are repeated.
const MOST_OPERATIONS: usize = 4096;

pub(crate) struct Operations<'a> {
    chunks: std::slice::Iter<'a, [u8; OP_LEN]>,
    words: [u64; 4],
    times_left: u8,
    operations_left: usize,
}

impl<'a> Operations<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Operations<'a> {
        let chunks = bytes.as_chunks().0.iter();
        Operations { chunks, words: [0; 4], times_left: 0, operations_left: MOST_OPERATIONS }
    }

    fn decode(&mut self, &[times, a, b, c, d, e, f, g, h, i, j, k, l]: &[u8; OP_LEN]) {
        self.times_left = times.saturating_sub(u8::MAX - MOST_TIMES);
        let key = u64::from(u16::from_le_bytes([c, d]));
        self.words = [
            u64::from(u16::from_le_bytes([a, b])),
            key,
            u64::from(u32::from_le_bytes([e, f, g, h])),
            u64::from(u32::from_le_bytes([i, j, k, l])),
        ];
    }
}

impl Iterator for Operations<'_> {
    type Item = Op;

    fn next(&mut self) -> Option<Op> {
        self.operations_left = self.operations_left.checked_sub(1)?;
        if self.times_left > 0 {
            self.times_left -= 1;
            let [_, key, value, _] = &mut self.words;
            // As far as a batch reaches, so that batches do not write the same keys again.
            *key += 24;
            *value = mix(*value);
        } else {
            let chunk = self.chunks.next()?;
            self.decode(chunk);
        }
        Some(Op::from_words(self.words))
    }
}
