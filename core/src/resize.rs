//! Changing `max_bytes` of an open store.
//!
//! ```text
//! the cap is set first, so that nothing more is committed beyond it
//! while what is committed passes it: give back what is free; else reclaim, in a cache evict
//! a store whose live records do not fit gets its old cap back
//! ```

use crate::clock::Moment;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::reclaim::Aim;
use crate::stripe::Keep;

impl Engine {
    pub(crate) fn resize(&self, max_bytes: u64, moment: &Moment<'_>) -> Result<()> {
        let (least, greatest) = self.space.resizable();
        if !(least..=greatest).contains(&max_bytes) {
            return Err(Error::InvalidArgument(format!(
                "max_bytes = {max_bytes} bytes lies outside {least} to {greatest} bytes, what this store can be resized to"
            )));
        }
        let mut over = self.space.set_max_bytes(max_bytes);
        while over > 0 || !self.evicts && self.over_limit(0) {
            match self.make_smaller(over, moment) {
                Ok(true) => {}
                refused => {
                    let refused = refused.err().unwrap_or_else(|| self.full());
                    self.space.unset_max_bytes(max_bytes);
                    return Err(refused);
                }
            }
            over = self.space.shrink(&self.segments, self.regions());
        }
        self.space.settle_max_bytes(max_bytes);
        Ok(())
    }

    /// Reclaims a segment's worth; whether there was anything to reclaim.
    fn make_smaller(&self, over: usize, moment: &Moment<'_>) -> Result<bool> {
        if !self.evicts && self.over_limit(0) {
            self.drop_expired(moment, || !self.over_limit(0))?;
            if !self.shrink_index(moment, || !self.over_limit(0))? {
                return Ok(false);
            }
        }
        self.reuse_retired(true)?;
        if over == 0 || self.space.shrink(&self.segments, self.regions()) == 0 {
            return Ok(true);
        }
        self.choose_stripe(moment, 0)?;
        let words = self.geometry.segment_words();
        Ok(self.reclaim(words, self.usual_aim(), moment)? > 0
            || self.evicts && self.reclaim(words, Aim::Evict(Keep::Nothing), moment)? > 0)
    }
}
