//! Threads that use one store at once, with values that prove themselves.
//!
//! Every value says which key and which generation it is of, in every word, so that a mix of two values shows. Every
//! key that carries such values has one owner, who alone writes it and knows what it must be; all others know from a
//! shared ledger which generations they may see. Keys that all threads write are checked by what they add up to.
#![allow(dead_code, unused_imports, reason = "each program uses its part of this module")]

mod burst;
mod holds;
mod ledger;
mod owner;
mod plan;
mod reader;
mod shared;
mod time;
mod value;
mod worker;
mod writes;

pub(crate) use burst::{Burst, Totals};
pub(crate) use plan::{Failure, Plan, STORES};
