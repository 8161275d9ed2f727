//! The C face of Nyala. Each function translates its arguments, calls one operation of the core and translates the
//! answer; include/nyala.h is generated from this crate and its doc comments are the reference.
//!
//! One file a C object, and one for each of the three jobs that all of them share: `argument` turns pointers into
//! references, `versioned` reads and writes structs that grow, `boundary` stops panics and records errors.
#![allow(non_camel_case_types, reason = "the types carry the names that they have in the C header")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the safety contract of every function is the header's opening comment; forty copies would drift"
)]

pub mod version;

pub mod status;

pub mod boundary;

pub mod options;

pub mod slice;

pub mod store;

pub mod set;

pub mod pinned;

pub mod batch;

pub mod cursor;

pub mod statistics;

pub mod file;

mod argument;
mod versioned;

/// What the header's sentences on threads rest on.
const _: () = {
    const fn any_thread<T: Send + Sync>() {}
    const fn one_thread_at_a_time<T: Send>() {}
    any_thread::<nyala::Store>();
    any_thread::<nyala::Pinned>();
    one_thread_at_a_time::<nyala::Cursor>();
};
