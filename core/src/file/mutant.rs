//! Bugs that other stores had, to be switched on in ours: the harness is worth what it finds.

/// One such bug. ARCHITECTURE.md says whose it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A removal leaves no record.
    NoTombstone,
    /// Any segment is reclaimed, tombstones in it and all, while older ones hide below.
    AnyVictim,
    /// A write is acknowledged before the sync that it asked for.
    EarlyAcknowledgement,
    /// A record's sum does not name the lease: an older one in a reused segment passes for a new one.
    SumWithoutLease,
    /// Records are indexed although their sums are wrong.
    UncheckedRecords,
    /// Clearing leaves no record.
    UnloggedClear,
    /// What recovery gives up is not durably void before it goes on: a second crash brings it back.
    UnmarkedVoid,
    /// The header says how long the file is before the file is.
    LengthTooSoon,
    /// A reclaimed segment is leased again before its copies are durable.
    ReuseTooSoon,
    /// A lease says that older ones are gone before their copies are durable.
    OldestTooSoon,
    /// Lease numbers go on from the greatest one that was found.
    NumbersAgain,
    /// A sync that failed is tried again.
    SyncAgain,
    /// The index checkpoint is believed although the file was written since.
    StaleCheckpoint,
    /// A frame is believed although a share of it is missing.
    PartOfFrame,
    /// What is missing before a window is taken for reclaimed: copies of a part of a frame count, although the frame is lost.
    CopyOfPart,
    /// A clear or a milestone says that leases are out while frames with a share there are not durable.
    OutBeforeFrame,
    /// A run is reused before it is durable that its link is hidden.
    RunReusedTooSoon,
    /// A link is believed although the sum of its run is wrong.
    UncheckedRuns,
    /// A run is let go while the frame that hides its link is written.
    RunGoneInFrame,
    /// A sync that was running already counts for who comes meanwhile. The models of the syncer notice it.
    RunningSyncCounts,
    /// Those who wait for a sync are not woken when it fails. The models of the syncer notice it.
    SilentFailure,
    /// Who waits for others before a sync waits until they come. The models of the syncer notice it.
    EndlessPatience,
}

/// Whether the bug is switched on, in this thread of a test.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn is_on(_: Mutant) -> bool {
    false
}

#[cfg(test)]
thread_local! {
    static ON: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
pub(crate) fn is_on(mutant: Mutant) -> bool {
    ON.get() == Some(mutant)
}

/// Switches a bug on, or all off.
#[cfg(test)]
pub(crate) fn switch(mutant: Option<Mutant>) {
    ON.set(mutant);
}
