//! How a number comes about: a closed loop, threads that start together, a process a unit, blocks of units.

pub(crate) mod blocks;
pub(crate) mod cage;
pub(crate) mod child;
pub(crate) mod closed_loop;
pub(crate) mod process;
pub(crate) mod progress;
pub(crate) mod sockets;
pub(crate) mod statistics;
pub(crate) mod threads;
pub(crate) mod unit;
