//! Whether operations on one key are linearizable: threads contend for a few keys and record what they asked, what they
//! were answered, and when; a search then looks for one order of each key's calls that explains every answer.
//!
//! Keys are searched one by one: operations on different keys are not ordered, and an order of each makes one of all.
#![allow(dead_code, unused_imports, reason = "each program uses its part of this module")]

mod call;
mod checker;
mod entry;
mod history;
mod plan;
mod player;
mod trial;

pub(crate) use call::{Answer, Bytes, Call, Only};
pub(crate) use checker::check;
pub(crate) use history::{Event, Ticks};
pub(crate) use plan::{Failure, Plan};
pub(crate) use trial::{SHAPES, Totals};
