//! One call with the arguments that the input chooses.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::slice;

use c_face::batch::{
    nyala_delete_many, nyala_get_many, nyala_pair, nyala_set_many, nyala_set_many_atomic,
};
use c_face::cursor::{nyala_scan_close, nyala_scan_next, nyala_scan_open};
use c_face::file::{
    nyala_backup, nyala_backup_with, nyala_file_report, nyala_file_report_init, nyala_salvage,
    nyala_salvage_with, nyala_verify, nyala_verify_with,
};
use c_face::options::{
    NYALA_EVICTION_ADAPTIVE, NYALA_EVICTION_NONE, nyala_options, nyala_options_init,
};
use c_face::pinned::{
    nyala_pin, nyala_pinned_data, nyala_pinned_len, nyala_pinned_version, nyala_unpin,
};
use c_face::set::{NYALA_SET_IF_VALUE, nyala_set_options, nyala_set_options_init, nyala_set_with};
use c_face::slice::nyala_slice;
use c_face::statistics::{nyala_statistics, nyala_statistics_init, nyala_stats};
use c_face::status::{
    NYALA_END, NYALA_NOT_FOUND, NYALA_OK, NYALA_TRUNCATED, nyala_status, nyala_status_name,
};
use c_face::store::{
    nyala_append, nyala_clear, nyala_close, nyala_delete, nyala_delete_if, nyala_exists,
    nyala_expire, nyala_get, nyala_get_versioned, nyala_increment, nyala_len, nyala_maintain,
    nyala_open, nyala_persist, nyala_set, nyala_set_max_bytes, nyala_store, nyala_sync, nyala_ttl,
};
use libfuzzer_sys::arbitrary::{Result, Unstructured};

use crate::arguments::{self, Checked, Room, number, pointer};
use crate::session::{Session, now_ms};

/// What outputs hold before a call.
const UNTOUCHED: u64 = 0x5a5a_5a5a_5a5a_5a5a;

/// Calls a function.
macro_rules! unchecked {
    ($function:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: every pointer is NULL, or valid for the length given with it, or that length is one that the function
        // refuses before it looks at the bytes; every handle is open.
        unsafe { $function($($argument),*) }
    }};
}

/// Calls a function and checks its status.
macro_rules! call {
    ($session:ident, $function:ident($($argument:expr),* $(,)?)) => {{
        let status = unchecked!($function($($argument),*));
        $session.check(stringify!($function), status);
        status
    }};
}

/// Checks that an output was written when it had to be, and only then.
fn check_output(wrote: bool, expected: bool, function: &str, status: nyala_status) {
    assert!(wrote == expected, "{function} answers {status}; output written: {wrote}");
}

pub(crate) fn one(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    if session.store.is_null() {
        return open(session, input);
    }
    match input.arbitrary::<u8>()? {
        0..40 => get(session, input),
        40..60 => get_versioned(session, input),
        60..100 => set(session, input),
        100..125 => set_with(session, input),
        125..135 => delete(session, input),
        135..143 => increment(session, input),
        143..151 => append(session, input),
        151..166 => lifetime(session, input),
        166..176 => pin(session, input),
        176..184 => unpin(session, input),
        184..194 => get_many(session, input),
        194..204 => set_many(session, input),
        204..206 => fill(session, input),
        206..212 => delete_many(session, input),
        212..218 => scan_open(session, input),
        218..230 => scan_next(session, input),
        230..233 => scan_close(session, input),
        233..240 => numbers(session, input),
        240..244 => upkeep(session, input),
        244..246 => whole_files(session, input),
        246..249 => {
            session.advance(number(input)?);
            Ok(())
        }
        249..254 => inits_and_nulls(session, input),
        254 => open(session, input),
        255 => {
            call!(session, nyala_clear(pointer(input, session.store)?));
            call!(session, nyala_sync(pointer(input, session.store)?));
            Ok(())
        }
    }
}

/// Reads what it is told, for AddressSanitizer to see.
unsafe extern "C" fn hear(
    _: *mut c_void,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    cause: u32,
) {
    // SAFETY: the library vouches for the bytes.
    let key = unsafe { slice::from_raw_parts(key.cast::<u8>(), key_len) };
    // SAFETY: as above.
    let value = unsafe { slice::from_raw_parts(value.cast::<u8>(), value_len) };
    std::hint::black_box(key.iter().chain(value).fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
    assert!(!key.is_empty() && (1..=3).contains(&cause), "cause {cause}");
}

/// Goes on, or ends what it is told of if there is userdata.
unsafe extern "C" fn go_on(userdata: *mut c_void, done: u64, total: u64) -> i32 {
    assert!(done <= total, "{done} of {total} bytes");
    i32::from(!userdata.is_null())
}

/// A path that no store can have: nothing is left behind.
fn no_file(input: &mut Unstructured<'_>) -> Result<*const c_char> {
    let paths = [c"", c"/", c"/dev/null", c"/dev/null/store", c"/nyala/\xff/store"];
    Ok(paths[input.int_in_range(0..=paths.len() - 1)?].as_ptr())
}

fn open(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let max_bytes = match input.arbitrary::<u8>()? {
        0..230 => 1 << 20,
        230..240 => 1 << 23,
        _ => number(input)?,
    };
    let own_clock = input.ratio(3_u8, 4)?;
    let options = nyala_options {
        struct_size: 0,
        max_bytes,
        now_ms: if own_clock { Some(now_ms) } else { None },
        now_ms_userdata: session.clock(),
        flags: if input.ratio(1_u8, 40)? { input.arbitrary()? } else { 0 },
        eviction: match input.arbitrary::<u8>()? {
            0..6 => input.arbitrary()?,
            6..128 => NYALA_EVICTION_ADAPTIVE,
            _ => NYALA_EVICTION_NONE,
        },
        count_reads: if input.ratio(1_u8, 40)? { input.arbitrary()? } else { 0 },
        on_removal: if input.ratio(1_u8, 2)? { Some(hear) } else { None },
        on_removal_userdata: ptr::null_mut(),
        path: if input.ratio(1_u8, 40)? { no_file(input)? } else { ptr::null() },
        durability: if input.ratio(1_u8, 40)? { input.int_in_range(0..=3)? } else { 0 },
        reserved: if input.ratio(1_u8, 40)? { input.arbitrary()? } else { 0 },
        sync_interval_ms: if input.ratio(1_u8, 40)? { number(input)? } else { 0 },
        on_progress: if input.ratio(1_u8, 40)? { Some(go_on) } else { None },
        on_progress_userdata: ptr::null_mut(),
    };
    let mut options = Room::of(input, options)?;
    let options = pointer(input, options.as_ptr())?;
    let mut store: *mut nyala_store = ptr::null_mut();
    let place = pointer(input, &raw mut store)?;
    let status = call!(session, nyala_open(options, place));
    check_output(!store.is_null(), status == NYALA_OK, "nyala_open", status);
    if status == NYALA_OK {
        session.reopen(store);
    }
    Ok(())
}

/// A buffer of the caller with bytes behind it that nobody may touch.
struct Buffer {
    bytes: Vec<u8>,
    data: *mut c_void,
    len: usize,
}

impl Buffer {
    const GUARD: usize = 16;
    const FILL: u8 = 0xa5;

    fn choose(input: &mut Unstructured<'_>) -> Result<Buffer> {
        let len = match input.arbitrary::<u8>()? {
            0..100 => 1200,
            100..200 => input.int_in_range(0..=40)?,
            200..220 => input.int_in_range(0..=arguments::MEMORY)?,
            _ => 0,
        };
        let mut bytes = vec![Self::FILL; len + Self::GUARD];
        let null = input.ratio(1_u8, 30)?;
        let data = if null { ptr::null_mut() } else { bytes.as_mut_ptr().cast() };
        Ok(Buffer { bytes, data, len })
    }

    /// What was written ends where the value does.
    fn check(&self, written: usize) {
        let untouched = self.bytes[written..].iter().all(|byte| *byte == Self::FILL);
        assert!(untouched, "bytes behind a value of {written} bytes were written");
    }
}

fn get(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let key = arguments::key(input, Checked::ByLimit)?;
    let buffer = Buffer::choose(input)?;
    let mut len = usize::MAX;
    let len_place = pointer(input, &raw mut len)?;
    let store = pointer(input, session.store)?;
    let status =
        call!(session, nyala_get(store, key.data, key.len, buffer.data, buffer.len, len_place));
    check_value("nyala_get", status, &buffer, len);
    Ok(())
}

fn check_value(function: &str, status: nyala_status, buffer: &Buffer, len: usize) {
    let told = matches!(status, NYALA_OK | NYALA_TRUNCATED);
    check_output(len != usize::MAX, told, function, status);
    assert!(!told || (len > buffer.len) == (status == NYALA_TRUNCATED), "{status} for {len} bytes");
    buffer.check(if status == NYALA_OK { len } else { 0 });
}

fn get_versioned(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let key = arguments::key(input, Checked::ByLimit)?;
    let buffer = Buffer::choose(input)?;
    let (mut len, mut version) = (usize::MAX, 0);
    let (len_place, version_place) =
        (pointer(input, &raw mut len)?, pointer(input, &raw mut version)?);
    let status = call!(
        session,
        nyala_get_versioned(
            session.store,
            key.data,
            key.len,
            buffer.data,
            buffer.len,
            len_place,
            version_place
        )
    );
    check_value("nyala_get_versioned", status, &buffer, len);
    check_output(version != 0, len != usize::MAX, "nyala_get_versioned", status);
    session.version = version.max(session.version);
    Ok(())
}

fn set(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let key = arguments::key(input, Checked::ByLimit)?;
    let value = arguments::value(input, Checked::ByLimit)?;
    let store = pointer(input, session.store)?;
    call!(session, nyala_set(store, key.data, key.len, value.data, value.len));
    Ok(())
}

fn set_with(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let key = arguments::key(input, Checked::ByLimit)?;
    let value = arguments::value(input, Checked::ByLimit)?;
    let mut given = nyala_set_options {
        struct_size: 0,
        ttl_ms: 0,
        condition: input.int_in_range(0..=NYALA_SET_IF_VALUE)?,
        flags: 0,
        version: session.version,
        expected: arguments::value(input, Checked::BySlice)?,
    };
    if input.ratio(1_u8, 3)? {
        given.ttl_ms = number(input)?;
    }
    if input.ratio(1_u8, 4)? {
        given.flags = u32::from(input.arbitrary::<u8>()? % 4);
    }
    if input.ratio(1_u8, 20)? {
        (given.condition, given.flags) = (input.arbitrary()?, input.arbitrary()?);
        given.version = number(input)?;
    }
    let mut options = Room::of(input, given)?;
    let options = pointer(input, options.as_ptr())?;
    let mut version = 0;
    let place = pointer(input, &raw mut version)?;
    let status = call!(
        session,
        nyala_set_with(session.store, key.data, key.len, value.data, value.len, options, place)
    );
    let expected = status == NYALA_OK && !place.is_null();
    check_output(version != 0, expected, "nyala_set_with", status);
    session.version = version.max(session.version);
    Ok(())
}

fn delete(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let key = arguments::key(input, Checked::ByLimit)?;
    let store = pointer(input, session.store)?;
    match input.int_in_range(0..=2)? {
        0 => call!(session, nyala_delete(store, key.data, key.len)),
        1 => call!(session, nyala_exists(store, key.data, key.len)),
        _ => {
            let version = if input.arbitrary()? { session.version } else { number(input)? };
            call!(session, nyala_delete_if(store, key.data, key.len, version))
        }
    };
    Ok(())
}

fn increment(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let key = arguments::key(input, Checked::ByLimit)?;
    let (delta, ttl_ms) = (number(input)?.cast_signed(), number(input)?);
    let mut sum = UNTOUCHED.cast_signed();
    let place = pointer(input, &raw mut sum)?;
    let status =
        call!(session, nyala_increment(session.store, key.data, key.len, delta, ttl_ms, place));
    if sum != UNTOUCHED.cast_signed() {
        assert_eq!(status, NYALA_OK, "a sum was written");
    }
    Ok(())
}

fn append(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let key = arguments::key(input, Checked::ByLimit)?;
    let tail = arguments::value(input, Checked::ByLimit)?;
    let mut len = usize::MAX;
    let place = pointer(input, &raw mut len)?;
    let status =
        call!(session, nyala_append(session.store, key.data, key.len, tail.data, tail.len, place));
    check_output(len != usize::MAX, status == NYALA_OK, "nyala_append", status);
    Ok(())
}

fn lifetime(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let key = arguments::key(input, Checked::ByLimit)?;
    let store = pointer(input, session.store)?;
    match input.int_in_range(0..=2)? {
        0 => {
            call!(session, nyala_expire(store, key.data, key.len, number(input)?));
        }
        1 => {
            call!(session, nyala_persist(store, key.data, key.len));
        }
        _ => {
            let mut remaining = i64::MIN;
            let place = pointer(input, &raw mut remaining)?;
            let status = call!(session, nyala_ttl(store, key.data, key.len, place));
            check_output(remaining != i64::MIN, status == NYALA_OK, "nyala_ttl", status);
            assert!(remaining >= -1 || status != NYALA_OK, "{remaining} ms remain");
        }
    }
    Ok(())
}

fn pin(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let key = arguments::key(input, Checked::ByLimit)?;
    let mut pinned = ptr::null_mut();
    let place = pointer(input, &raw mut pinned)?;
    let status = call!(session, nyala_pin(session.store, key.data, key.len, place));
    check_output(!pinned.is_null(), status == NYALA_OK, "nyala_pin", status);
    if status == NYALA_OK {
        session.hold_pin(pinned);
    }
    Ok(())
}

fn unpin(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    if session.pins() > 0 {
        session.unpin(input.choose_index(session.pins())?);
    }
    Ok(())
}

/// A batch's keys.
fn keys(input: &mut Unstructured<'_>) -> Result<Vec<nyala_slice>> {
    (0..input.int_in_range(0..=20)?).map(|_| arguments::key(input, Checked::ByLimit)).collect()
}

/// What [`visit`] works with.
struct Visits {
    store: *mut nyala_store,
    visited: usize,
    count: usize,
}

/// Looks at what it is shown, and calls the library.
///
/// # Safety
/// `userdata` points to a [`Visits`], and `value` to `value_len` bytes.
unsafe extern "C" fn visit(
    userdata: *mut c_void,
    index: usize,
    status: nyala_status,
    value: *const c_void,
    value_len: usize,
) {
    // SAFETY: the caller's promise.
    let visits = unsafe { &mut *userdata.cast::<Visits>() };
    visits.visited += 1;
    assert!(index < visits.count, "visited key {index} of {}", visits.count);
    assert!(matches!(status, NYALA_OK | NYALA_NOT_FOUND), "visited with {status}");
    assert_eq!(value.is_null(), status == NYALA_NOT_FOUND);
    if !value.is_null() {
        // SAFETY: the caller's promise.
        let value = unsafe { slice::from_raw_parts(value.cast::<u8>(), value_len) }.to_vec();
        // SAFETY: the store is open during the visit; a callback may call the library.
        let status = unsafe {
            nyala_set(visits.store, b"8".as_ptr().cast(), 1, value.as_ptr().cast(), value.len())
        };
        assert!(status <= 0, "nyala_set in a visit answers {status}");
    }
}

fn get_many(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let mut keys = keys(input)?;
    let count = arguments::count(input, keys.len())?;
    let array = pointer(input, keys.as_mut_ptr())?;
    let visit = if input.ratio(1_u8, 30)? { None } else { Some(visit as _) };
    let mut visits = Visits { store: session.store, visited: 0, count };
    let userdata = (&raw mut visits).cast();
    let status = call!(session, nyala_get_many(session.store, array, count, visit, userdata));
    assert_eq!(visits.visited, if status == NYALA_OK { count } else { 0 });
    Ok(())
}

fn set_many(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let untouched = i32::MIN;
    let mut pairs = Vec::new();
    for _ in 0..input.int_in_range(0..=20)? {
        let key = arguments::key(input, Checked::BySlice)?;
        let value = arguments::value(input, Checked::BySlice)?;
        pairs.push(nyala_pair { key, value, status: untouched });
    }
    let count = arguments::count(input, pairs.len())?;
    let array = pointer(input, pairs.as_mut_ptr())?;
    if input.ratio(1_u8, 3)? {
        call!(session, nyala_set_many_atomic(session.store, array, count));
        assert!(pairs.iter().all(|pair| pair.status == untouched), "statuses were written");
        return Ok(());
    }
    let status = call!(session, nyala_set_many(session.store, array, count));
    // Either the whole call was refused, or every pair has a status.
    let told = pairs.iter().filter(|pair| pair.status != untouched).count();
    assert!(told == 0 || told == pairs.len(), "{told} of {} statuses", pairs.len());
    let first = pairs.iter().map(|pair| pair.status).find(|status| *status != NYALA_OK);
    assert!(told == 0 || status == first.unwrap_or(NYALA_OK), "{status} for {first:?}");
    for pair in pairs.iter().filter(|_| told > 0) {
        session.check("nyala_set", pair.status);
    }
    Ok(())
}

/// Many keys at once, so that the store is full.
fn fill(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let first: u16 = input.arbitrary()?;
    let names: Vec<[u8; 2]> = (0..1500).map(|i| first.wrapping_add(i).to_le_bytes()).collect();
    let value = arguments::value(input, Checked::BySlice)?;
    let of_key = |name: &[u8; 2]| nyala_pair {
        key: nyala_slice { data: name.as_ptr().cast(), len: name.len() },
        value,
        status: NYALA_OK,
    };
    let mut pairs: Vec<nyala_pair> = names.iter().map(of_key).collect();
    call!(session, nyala_set_many(session.store, pairs.as_mut_ptr(), pairs.len()));
    Ok(())
}

fn delete_many(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let mut keys = keys(input)?;
    let count = arguments::count(input, keys.len())?;
    let array = pointer(input, keys.as_mut_ptr())?;
    let mut deleted = usize::MAX;
    let place = pointer(input, &raw mut deleted)?;
    let status = call!(session, nyala_delete_many(session.store, array, count, place));
    check_output(deleted != usize::MAX, status == NYALA_OK, "nyala_delete_many", status);
    assert!(status != NYALA_OK || deleted <= count, "{deleted} of {count} keys deleted");
    Ok(())
}

fn scan_open(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let prefix = arguments::key(input, Checked::BySlice)?;
    let mut cursor = ptr::null_mut();
    let place = pointer(input, &raw mut cursor)?;
    let status = call!(session, nyala_scan_open(session.store, prefix.data, prefix.len, place));
    check_output(!cursor.is_null(), status == NYALA_OK, "nyala_scan_open", status);
    if status == NYALA_OK {
        session.hold_cursor(cursor);
    }
    Ok(())
}

fn scan_next(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let cursor = match session.cursors.len() {
        0 => ptr::null_mut(),
        held => session.cursors[input.choose_index(held)?],
    };
    let nothing = nyala_slice { data: ptr::null(), len: usize::MAX };
    let (mut key, mut value) = (nothing, nothing);
    let (key_place, value_place) = (pointer(input, &raw mut key)?, pointer(input, &raw mut value)?);
    for _ in 0..input.int_in_range(1..=20)? {
        let status = call!(session, nyala_scan_next(cursor, key_place, value_place));
        if status != NYALA_OK {
            assert!(status == NYALA_END || key.data.is_null(), "{status} with a key");
            break;
        }
        for shown in [key, value] {
            // SAFETY: the cursor's copies live until its next call.
            let bytes = unsafe { slice::from_raw_parts(shown.data.cast::<u8>(), shown.len) };
            std::hint::black_box(bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        }
    }
    Ok(())
}

fn scan_close(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    if !session.cursors.is_empty() {
        session.close_cursor(input.choose_index(session.cursors.len())?);
    }
    Ok(())
}

fn numbers(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let mut entries = u64::MAX;
    let place = pointer(input, &raw mut entries)?;
    let status = call!(session, nyala_len(session.store, place));
    check_output(entries != u64::MAX, status == NYALA_OK, "nyala_len", status);

    // SAFETY: zero is valid for all of its fields.
    let zero: nyala_statistics = unsafe { std::mem::zeroed() };
    let mut room = Room::of(input, zero)?;
    let place = pointer(input, room.as_ptr::<nyala_statistics>())?;
    let status = call!(session, nyala_stats(session.store, place));
    if status == NYALA_OK {
        // SAFETY: the room is larger than the struct, which was filled in.
        let stats = unsafe { place.read() };
        assert!(stats.used_bytes <= stats.max_bytes, "{stats:?}");
    }
    Ok(())
}

fn upkeep(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    if input.ratio(1_u8, 4)? {
        let max_bytes =
            if input.ratio(1_u8, 4)? { number(input)? } else { input.int_in_range(1..=4)? << 20 };
        call!(session, nyala_set_max_bytes(pointer(input, session.store)?, max_bytes));
        return Ok(());
    }
    // A millisecond at most, so that the fuzzer does not wait.
    let max_ns = number(input)?.min(1_000_000);
    let mut left = UNTOUCHED;
    let place = pointer(input, &raw mut left)?;
    let status = call!(session, nyala_maintain(session.store, max_ns, place));
    check_output(left != UNTOUCHED, status == NYALA_OK, "nyala_maintain", status);
    Ok(())
}

/// Of files that cannot be there.
fn whole_files(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let store = pointer(input, session.store)?;
    let path = |input: &mut Unstructured<'_>| {
        Ok(if input.ratio(1_u8, 10)? { ptr::null() } else { no_file(input)? })
    };
    let (from, to) = (path(input)?, path(input)?);
    // SAFETY: zero is valid for all of its fields.
    let zero: nyala_file_report = unsafe { std::mem::zeroed() };
    let mut room = Room::of(input, zero)?;
    let before = room.0;
    let report = pointer(input, room.as_ptr::<nyala_file_report>())?;
    let told = if input.ratio(1_u8, 2)? { Some(go_on as _) } else { None };
    let mut ends = 0_u8;
    let userdata = if input.ratio(1_u8, 2)? { (&raw mut ends).cast() } else { ptr::null_mut() };
    let status = match input.int_in_range(0..=5)? {
        0 => call!(session, nyala_backup(store, to)),
        1 => call!(session, nyala_backup_with(store, to, told, userdata, report)),
        2 => call!(session, nyala_verify(from, report)),
        3 => call!(session, nyala_verify_with(from, told, userdata, report)),
        4 => call!(session, nyala_salvage(from, to, report)),
        _ => call!(session, nyala_salvage_with(from, to, told, userdata, report)),
    };
    assert!(status < 0 && room.0 == before, "status {status} of a file that cannot be");
    Ok(())
}

/// What takes no store: sizes of structs, and NULL where it is no error.
fn inits_and_nulls(session: &mut Session, input: &mut Unstructured<'_>) -> Result<()> {
    let mut room = Room([0xa5; 4096]);
    let size = arguments::struct_size(input, size_of::<nyala_options>())?;
    let status = match input.int_in_range(0..=3)? {
        0 => call!(session, nyala_options_init(pointer(input, room.as_ptr())?, size)),
        1 => {
            let options = pointer(input, room.as_ptr::<nyala_set_options>())?;
            call!(session, nyala_set_options_init(options, size))
        }
        2 => call!(session, nyala_file_report_init(pointer(input, room.as_ptr())?, size)),
        _ => call!(session, nyala_statistics_init(pointer(input, room.as_ptr())?, size)),
    };
    let from = if status == NYALA_OK { size } else { 0 };
    assert!(room.0[from..].iter().all(|byte| *byte == 0xa5), "wrote behind {size} bytes");

    assert_eq!(unchecked!(nyala_close(ptr::null_mut())), NYALA_OK);
    unchecked!(nyala_unpin(ptr::null_mut()));
    unchecked!(nyala_scan_close(ptr::null_mut()));
    assert!(unchecked!(nyala_pinned_data(ptr::null())).is_null());
    assert_eq!(unchecked!(nyala_pinned_len(ptr::null())), 0);
    assert_eq!(unchecked!(nyala_pinned_version(ptr::null())), 0);
    assert!(!nyala_status_name(input.arbitrary()?).is_null());
    Ok(())
}
