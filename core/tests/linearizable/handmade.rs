//! The checker against histories whose verdict is known.

use nyala::Error;

use crate::linearizable::{Answer, Call, Event, Only, check};

/// A call by a thread of its own, from `began` to `ended`.
fn event(began: u64, ended: u64, call: Call, answer: Answer) -> Event {
    Event { thread: usize::try_from(began).expect("small"), call, answer, began, ended }
}

fn set(value: &str) -> Call {
    Call::Set(value.into())
}

fn set_if(only: Only, value: &str) -> Call {
    Call::SetWith { only, value: value.into(), previous: false }
}

fn stored(version: u64) -> Answer {
    Answer::Outcome { stored: true, version: Some(version), previous: None }
}

fn not_stored(version: Option<u64>) -> Answer {
    Answer::Outcome { stored: false, version, previous: None }
}

fn value(value: &str) -> Answer {
    Answer::Value(Some(value.into()))
}

fn versioned(value: &str, version: u64) -> Answer {
    Answer::Versioned(Some((value.into(), version)))
}

const NOTHING: Answer = Answer::Value(None);

#[track_caller]
fn legal(events: &[Event]) {
    check(events, false).expect("there is an order");
}

#[track_caller]
fn illegal(events: &[Event]) {
    check(events, false).expect_err("there is no order");
}

#[track_caller]
fn legal_in_a_cache_only(events: &[Event]) {
    illegal(events);
    check(events, true).expect("there is an order with evictions");
}

#[track_caller]
fn illegal_in_a_cache_too(events: &[Event]) {
    illegal(events);
    check(events, true).expect_err("there is no order");
}

#[test]
fn nothing_happened() {
    legal(&[]);
    legal(&[event(0, 1, Call::Get, NOTHING)]);
    illegal(&[event(0, 1, Call::Get, value("a"))]);
}

#[test]
fn reads_during_a_write_see_either_value() {
    let write = event(0, 9, set("a"), Answer::Done);
    for seen in [NOTHING, value("a")] {
        legal(&[write.clone(), event(1, 2, Call::Get, seen)]);
    }
    illegal(&[write, event(1, 2, Call::Get, value("b"))]);
}

#[test]
fn reads_do_not_go_back() {
    let write = event(0, 9, set("a"), Answer::Done);
    let (old, new) = (event(1, 2, Call::Get, NOTHING), event(3, 4, Call::Get, value("a")));
    legal(&[write.clone(), old, new]);
    let (new, old) = (event(1, 2, Call::Get, value("a")), event(3, 4, Call::Get, NOTHING));
    illegal(&[write.clone(), new.clone(), old]);
    // If the two reads overlap, the old value may have been read first.
    legal(&[write, new, event(0, 4, Call::Get, NOTHING)]);
}

#[test]
fn stale_reads() {
    let writes = [event(0, 1, set("a"), Answer::Done), event(2, 3, set("b"), Answer::Done)];
    let [first, second] = writes;
    illegal(&[first.clone(), second.clone(), event(4, 5, Call::Get, value("a"))]);
    illegal(&[first.clone(), second.clone(), event(4, 5, Call::Contains, Answer::Truth(false))]);
    legal(&[first, second, event(2, 5, Call::Get, value("a"))]);
}

#[test]
fn lost_updates() {
    let one = Call::Increment(1);
    let first = event(0, 5, one.clone(), Answer::Sum(1));
    legal(&[first.clone(), event(1, 4, one.clone(), Answer::Sum(2))]);
    illegal(&[first, event(1, 4, one, Answer::Sum(1))]);

    let old = event(0, 1, set_if(Only::Always, "0"), stored(7));
    let mine = event(2, 5, set_if(Only::IfVersion(7), "1"), stored(8));
    let yours = set_if(Only::IfVersion(7), "2");
    legal(&[old.clone(), mine.clone(), event(3, 4, yours.clone(), not_stored(Some(8)))]);
    illegal(&[old, mine, event(3, 4, yours, stored(9))]);

    let (x, y) = (Call::Append("x".into()), Call::Append("y".into()));
    let both = [event(0, 5, x, Answer::Len(1)), event(1, 4, y, Answer::Len(2))];
    let [x, y] = both;
    legal(&[x.clone(), y.clone(), event(6, 7, Call::Get, value("xy"))]);
    illegal(&[x.clone(), y.clone(), event(6, 7, Call::Get, value("yx"))]);
    illegal(&[x, y, event(6, 7, Call::Get, value("y"))]);
}

#[test]
fn torn_increments() {
    // The read of one and the write of another came between the two halves.
    let ten = event(0, 1, set("10"), Answer::Done);
    let add = event(2, 9, Call::Increment(1), Answer::Sum(11));
    let replace = event(3, 4, set("50"), Answer::Done);
    legal(&[ten.clone(), add.clone(), replace.clone(), event(10, 11, Call::Get, value("50"))]);
    illegal(&[ten.clone(), add.clone(), replace.clone(), event(10, 11, Call::Get, value("11"))]);
    let after = event(5, 6, Call::Get, value("50"));
    legal(&[ten.clone(), add.clone(), replace.clone(), after.clone()]);
    illegal(&[ten, add, replace, after, event(7, 8, Call::Get, value("11"))]);
}

#[test]
fn only_one_finds_the_key_absent() {
    let first = event(0, 5, set_if(Only::IfAbsent, "a"), stored(1));
    let second = |answer| event(1, 4, set_if(Only::IfAbsent, "b"), answer);
    legal(&[first.clone(), second(not_stored(Some(1)))]);
    illegal(&[first.clone(), second(stored(2))]);
    legal(&[first, second(stored(2)), event(2, 3, Call::Delete, Answer::Truth(true))]);
}

#[test]
fn only_one_takes() {
    let write = event(0, 1, set("a"), Answer::Done);
    let first = event(2, 5, Call::Take, value("a"));
    legal(&[write.clone(), first.clone(), event(3, 4, Call::Take, NOTHING)]);
    illegal(&[write.clone(), first.clone(), event(3, 4, Call::Take, value("a"))]);
    illegal(&[write, first, event(3, 4, Call::Delete, Answer::Truth(true))]);
}

#[test]
fn swaps_are_a_chain() {
    let first = event(0, 9, Call::Swap("a".into()), value("b"));
    let second = |answer| event(1, 8, Call::Swap("b".into()), answer);
    legal(&[first.clone(), second(NOTHING)]);
    illegal(&[first, second(value("a"))]);
}

#[test]
fn a_version_is_that_of_one_write() {
    let writes = [event(0, 1, set("a"), Answer::Done), event(4, 5, set("a"), Answer::Done)];
    let [first, second] = writes;
    let early = event(2, 3, Call::GetVersioned, versioned("a", 7));
    let late = |version| event(6, 7, Call::GetVersioned, versioned("a", version));
    legal(&[first.clone(), early.clone(), second.clone(), late(8)]);
    illegal(&[first.clone(), early.clone(), second, late(7)]);
    illegal(&[first.clone(), early.clone(), late(8)]);
    let stale = event(6, 7, Call::DeleteIf(7), Answer::Truth(true));
    legal(&[first.clone(), early.clone(), stale.clone()]);
    illegal(&[first, early, event(4, 5, set("a"), Answer::Done), stale]);
}

#[test]
fn conditions_on_values() {
    let write = event(0, 1, set("a"), Answer::Done);
    let swap = set_if(Only::IfValue("a".into()), "b");
    legal(&[write.clone(), event(2, 3, swap.clone(), stored(2))]);
    illegal(&[write.clone(), event(2, 3, swap.clone(), not_stored(Some(2)))]);
    illegal(&[event(2, 3, swap.clone(), stored(2))]);
    legal(&[write, event(2, 3, set("c"), Answer::Done), event(4, 5, swap, not_stored(Some(9)))]);
}

#[test]
fn previous_values_belong_to_the_write() {
    let asks = |answer| {
        let call = Call::SetWith { only: Only::IfPresent, value: "b".into(), previous: true };
        event(2, 3, call, answer)
    };
    let outcome = |previous: &str| Answer::Outcome {
        stored: true,
        version: Some(5),
        previous: Some(previous.into()),
    };
    let write = event(0, 1, set("a"), Answer::Done);
    legal(&[write.clone(), asks(outcome("a"))]);
    illegal(&[write, asks(outcome("b"))]);
}

#[test]
fn refusals_change_nothing_and_tell_the_truth() {
    let full = Answer::Refused(Error::Full { live_bytes: 1, max_bytes: 1, path: None });
    let write = event(0, 1, set("a"), Answer::Done);
    let refused = event(2, 3, set("b"), full.clone());
    legal(&[write.clone(), refused.clone(), event(4, 5, Call::Get, value("a"))]);
    illegal(&[write.clone(), refused, event(4, 5, Call::Get, value("b"))]);
    illegal(&[write.clone(), event(2, 3, set_if(Only::IfAbsent, "b"), full.clone())]);
    illegal(&[write.clone(), event(2, 3, Call::Delete, full)]);

    let no_number = |len| Answer::Refused(Error::NotANumber { len });
    legal(&[write.clone(), event(2, 3, Call::Increment(1), no_number(1))]);
    illegal(&[write.clone(), event(2, 3, Call::Increment(1), no_number(2))]);
    illegal(&[event(2, 3, Call::Increment(1), no_number(1))]);
    illegal(&[write, event(2, 3, Call::Increment(1), Answer::Sum(1))]);
}

#[test]
fn evicted_entries_are_gone_for_good() {
    let write = event(0, 1, set("a"), Answer::Done);
    let gone = event(2, 3, Call::Get, NOTHING);
    legal_in_a_cache_only(&[write.clone(), gone.clone()]);
    let back = event(4, 5, Call::Get, value("a"));
    illegal_in_a_cache_too(&[write.clone(), gone, back]);

    let other = event(2, 3, set("b"), Answer::Done);
    let stale = event(4, 5, Call::Get, value("a"));
    illegal_in_a_cache_too(&[write.clone(), other, stale]);

    let again = event(2, 3, set_if(Only::IfAbsent, "b"), stored(2));
    legal_in_a_cache_only(&[write.clone(), again.clone(), event(4, 5, Call::Take, value("b"))]);
    illegal_in_a_cache_too(&[write, again, event(4, 5, Call::Take, value("a"))]);
}

#[test]
fn eviction_explains_no_lost_update() {
    // A sum may begin anew, but not go back to what it was.
    let one = Call::Increment(1);
    let first = event(0, 1, one.clone(), Answer::Sum(1));
    let second = event(2, 3, one.clone(), Answer::Sum(2));
    legal_in_a_cache_only(&[
        first.clone(),
        second.clone(),
        event(4, 5, one.clone(), Answer::Sum(1)),
    ]);
    illegal_in_a_cache_too(&[first, second, event(4, 5, one, Answer::Sum(2))]);
}

/// Any of many writes may be the last one; a search that remembered nothing would try all orders of them.
#[test]
fn many_calls_at_once() {
    let writes = 0..12_u64;
    let mut events: Vec<Event> = writes
        .clone()
        .map(|number| event(number, 100 + number, set(&number.to_string()), Answer::Done))
        .collect();
    for number in writes {
        let mut all = events.clone();
        all.push(event(200, 201, Call::Get, value(&number.to_string())));
        legal(&all);
    }
    events.push(event(200, 201, Call::Get, value("12")));
    illegal(&events);
}
