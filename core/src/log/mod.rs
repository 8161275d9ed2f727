//! The log: records in segments, and the budget that segments and pages share.

pub(crate) mod holes;
pub(crate) mod record;
pub(crate) mod segment;
pub(crate) mod space;
