//! Arguments: mostly sensible, so that calls get somewhere, and now and then not.

use std::ffi::c_void;
use std::ptr;

use c_face::slice::nyala_slice;
use libfuzzer_sys::arbitrary::{Result, Unstructured};

/// Bytes that pointers point to: more than the longest key.
pub(crate) const MEMORY: usize = 70_000;

/// No limit of a store lies above this.
const BEYOND_EVERY_LIMIT: usize = 1 << 40;

/// Memory of the caller that the library only reads. All digits, so that short values are numbers.
static PATTERN: [u8; MEMORY] = {
    let mut bytes = [b'0'; MEMORY];
    let mut at = 1;
    while at < MEMORY {
        bytes[at] = if bytes[at - 1] == b'9' { b'0' } else { bytes[at - 1] + 1 };
        at += 1;
    }
    bytes
};

/// Which lengths a function looks at before it looks at the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// Against a limit of the store.
    ByLimit,
    /// Against what any memory can have.
    BySlice,
}

fn beyond(input: &mut Unstructured<'_>, checked: Checked) -> Result<usize> {
    Ok(match checked {
        Checked::ByLimit => input.int_in_range(BEYOND_EVERY_LIMIT..=usize::MAX)?,
        Checked::BySlice => input.int_in_range(usize::MAX / 2 + 1..=usize::MAX)?,
    })
}

/// Bytes of the caller.
fn bytes(input: &mut Unstructured<'_>, checked: Checked, usual: usize) -> Result<nyala_slice> {
    let start: u8 = input.arbitrary()?;
    let data: *const c_void = PATTERN[usize::from(start % 16)..].as_ptr().cast();
    let most = MEMORY - 16;
    Ok(match input.arbitrary::<u8>()? {
        0..200 => nyala_slice { data, len: input.int_in_range(0..=usual)? },
        // Long ones are rare, since they are most of the time that an input takes.
        200..226 => nyala_slice { data, len: input.int_in_range(0..=4096)? },
        226..230 => nyala_slice { data, len: input.int_in_range(0..=most)? },
        230..240 => nyala_slice { data: ptr::null(), len: 0 },
        240..246 => nyala_slice { data: ptr::null(), len: input.arbitrary()? },
        246..253 => nyala_slice { data, len: beyond(input, checked)? },
        _ => nyala_slice { data, len: 65_530 + input.int_in_range(0..=10)? },
    })
}

/// Few different keys, so that calls meet.
pub(crate) fn key(input: &mut Unstructured<'_>, checked: Checked) -> Result<nyala_slice> {
    bytes(input, checked, 3)
}

pub(crate) fn value(input: &mut Unstructured<'_>, checked: Checked) -> Result<nyala_slice> {
    bytes(input, checked, 1100)
}

/// How many of `real` items the call is told of.
pub(crate) fn count(input: &mut Unstructured<'_>, real: usize) -> Result<usize> {
    Ok(match input.arbitrary::<u8>()? {
        0..250 => real,
        _ => usize::MAX - input.int_in_range(0..=1000)?,
    })
}

/// NULL once in a while.
pub(crate) fn pointer<T>(input: &mut Unstructured<'_>, real: *mut T) -> Result<*mut T> {
    Ok(if input.ratio(1_u8, 40)? { ptr::null_mut() } else { real })
}

/// A number: small, at an edge of its range, or any.
pub(crate) fn number(input: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match input.arbitrary::<u8>()? {
        0..120 => input.int_in_range(0..=20)?,
        120..200 => input.int_in_range(0..=100_000)?,
        200..230 => u64::MAX - input.int_in_range(0..=20)?,
        _ => input.arbitrary()?,
    })
}

/// Memory for a struct whose first field says how large it is: as much as any size that is accepted.
#[repr(C, align(8))]
#[derive(Debug)]
pub(crate) struct Room(pub(crate) [u8; 4096]);

/// A size of a struct, mostly the right one.
pub(crate) fn struct_size(input: &mut Unstructured<'_>, right: usize) -> Result<usize> {
    Ok(match input.arbitrary::<u8>()? {
        0..200 => right,
        200..240 => input.int_in_range(0..=4200)?,
        _ => input.arbitrary()?,
    })
}

impl Room {
    /// A struct as a program fills it in, with a size and now and then a byte behind what the library knows.
    pub(crate) fn of<T: Copy>(input: &mut Unstructured<'_>, mut value: T) -> Result<Room> {
        let mut room = Room([0; 4096]);
        let size = struct_size(input, size_of::<T>())?;
        // SAFETY: every struct of the header begins with its size.
        unsafe { ptr::from_mut(&mut value).cast::<usize>().write(size) };
        // SAFETY: they are smaller than the room, which is aligned as they are.
        unsafe { room.0.as_mut_ptr().cast::<T>().write(value) };
        if input.ratio(1_u8, 20)? {
            let at = input.int_in_range(size_of::<T>()..=room.0.len() - 1)?;
            room.0[at] = input.arbitrary()?;
        }
        Ok(room)
    }

    pub(crate) fn as_ptr<T>(&mut self) -> *mut T {
        self.0.as_mut_ptr().cast()
    }
}
