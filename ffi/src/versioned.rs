//! Structs that grow at their end. Each starts with `size_t struct_size`, set by the caller to the size that its own
//! header gives the struct, so that caller and library of different versions understand each other.

use std::mem::MaybeUninit;
use std::ptr;

use nyala::Error;

use crate::argument::null;
use crate::boundary::Failure;

/// A size beyond this is an uninitialised field, not a struct of some later version.
const MAX_STRUCT_SIZE: usize = 4096;

/// A struct of the header that starts with `struct_size`.
///
/// # Safety
/// The type is `repr(C)`, its first field is `struct_size: usize`, and it is valid when all its bytes are zero, as it is
/// when a C program wrote any of its fields.
pub(crate) unsafe trait Versioned: Copy {
    /// Its name in the header.
    const NAME: &'static str;
    /// Its size in the first version that had it: the least that a caller may give.
    const FIRST_SIZE: usize;
}

/// Zeroes the caller's struct, tail included, and sets its size.
///
/// # Safety
/// `target` is NULL or valid for writes of `struct_size` bytes.
pub(crate) unsafe fn init<T: Versioned>(
    target: *mut T,
    struct_size: usize,
    name: &str,
) -> Result<(), Failure> {
    if target.is_null() {
        return Err(null(name).into());
    }
    check_size::<T>(struct_size)?;
    // SAFETY: the caller vouches for `struct_size` bytes.
    unsafe { ptr::write_bytes(target.cast::<u8>(), 0, struct_size) };
    // SAFETY: the first field of a `Versioned` is its size, and FIRST_SIZE covers it.
    unsafe { target.cast::<usize>().write_unaligned(struct_size) };
    Ok(())
}

/// The caller's struct as this library knows it: fields that an older caller has not are zero, and what a newer caller
/// has beyond must be.
///
/// # Safety
/// `source` is NULL or valid for reads of as many bytes as its first field says, and of that field.
pub(crate) unsafe fn read<T: Versioned>(source: *const T, name: &str) -> Result<T, Failure> {
    // SAFETY: handed on.
    let struct_size = unsafe { size::<T>(source, name) }?;
    let known = struct_size.min(size_of::<T>());
    let mut copy = MaybeUninit::<T>::zeroed();
    // SAFETY: `known` bytes are in the source, which the caller vouches for, and in the copy.
    unsafe { ptr::copy_nonoverlapping(source.cast::<u8>(), copy.as_mut_ptr().cast(), known) };
    // SAFETY: a `Versioned` is valid with zeroes and with what a C program wrote.
    Ok(unsafe { copy.assume_init() })
}

/// Writes as much of `value` as the caller's struct has room for; its own `struct_size` stays.
///
/// # Safety
/// `target` is NULL or valid for reads and writes of as many bytes as its first field says, and of that field.
pub(crate) unsafe fn write<T: Versioned>(
    target: *mut T,
    value: &T,
    name: &str,
) -> Result<(), Failure> {
    // SAFETY: handed on.
    let struct_size = unsafe { size::<T>(target, name) }?;
    let known = struct_size.min(size_of::<T>()) - size_of::<usize>();
    let from = ptr::from_ref(value).cast::<usize>().wrapping_add(1).cast::<u8>();
    let to = target.cast::<usize>().wrapping_add(1).cast::<u8>();
    // SAFETY: behind the size, `known` bytes are in the value, and in the target, which the caller vouches for.
    unsafe { ptr::copy_nonoverlapping(from, to, known) };
    Ok(())
}

/// Checks the caller's size and tail.
///
/// # Safety
/// As [`read`].
unsafe fn size<T: Versioned>(source: *const T, name: &str) -> Result<usize, Failure> {
    if source.is_null() {
        return Err(null(name).into());
    }
    // SAFETY: the caller vouches for the first field.
    let struct_size = unsafe { source.cast::<usize>().read_unaligned() };
    check_size::<T>(struct_size)?;
    for offset in size_of::<T>()..struct_size {
        // SAFETY: the caller vouches for `struct_size` bytes.
        let byte = unsafe { source.cast::<u8>().wrapping_add(offset).read() };
        if byte != 0 {
            return Err(Failure::Unsupported(format!(
                "{} has a non-zero byte at offset {offset}: this library knows {} bytes of it",
                T::NAME,
                size_of::<T>()
            )));
        }
    }
    Ok(struct_size)
}

fn check_size<T: Versioned>(struct_size: usize) -> Result<(), Error> {
    if (T::FIRST_SIZE..=MAX_STRUCT_SIZE).contains(&struct_size) {
        return Ok(());
    }
    Err(Error::InvalidArgument(format!(
        "{0}.struct_size = {struct_size} bytes lies outside {1} to {MAX_STRUCT_SIZE} bytes: set it with {0}_init",
        T::NAME,
        T::FIRST_SIZE
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A struct after two versions: the first had `a` only.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Grown {
        struct_size: usize,
        a: u64,
        b: u64,
    }

    const FIRST: usize = 16;
    const KNOWN: usize = 24;

    // SAFETY: repr(C), the size first, and integers only.
    unsafe impl Versioned for Grown {
        const NAME: &'static str = "grown";
        const FIRST_SIZE: usize = FIRST;
    }

    /// The caller's memory: room for a struct of a later version, filled with what it is given.
    fn memory(struct_size: usize, fill: u64) -> [u64; 5] {
        [struct_size as u64, fill, fill, fill, fill]
    }

    fn read_from(memory: &[u64; 5]) -> Result<Grown, Failure> {
        // SAFETY: the tests' sizes stay within the array.
        unsafe { read(memory.as_ptr().cast(), "grown") }
    }

    #[test]
    fn older_callers_have_less() {
        let old = read_from(&memory(FIRST, 9)).expect("accepted");
        assert_eq!(old, Grown { struct_size: FIRST, a: 9, b: 0 });
        let between = read_from(&memory(FIRST + 4, u64::MAX)).expect("accepted");
        assert_eq!(between.b, u64::from(u32::MAX));
    }

    #[test]
    fn newer_callers_may_have_more_if_it_is_zero() {
        let mut newer = memory(KNOWN + 16, 9);
        newer[3..].fill(0);
        assert_eq!(read_from(&newer).expect("accepted").b, 9);
        newer[4] = 1 << 32;
        let failure = read_from(&newer).expect_err("refused");
        assert_eq!(
            failure.to_string(),
            "unsupported: grown has a non-zero byte at offset 36: this library knows 24 bytes of it"
        );
    }

    #[test]
    fn sizes_that_no_version_has_are_refused() {
        for size in [0, FIRST - 1, MAX_STRUCT_SIZE + 1, usize::MAX] {
            let text = read_from(&memory(size, 0)).expect_err("refused").to_string();
            assert!(text.contains(&format!("grown.struct_size = {size} bytes")), "{text}");
            assert!(text.contains("outside 16 to 4096 bytes"), "{text}");
        }
    }

    #[test]
    fn no_write_passes_the_callers_size() {
        let value = Grown { struct_size: 0, a: 1, b: 2 };
        let mut old = memory(FIRST, 9);
        // SAFETY: the size stays within the array.
        unsafe { write(old.as_mut_ptr().cast(), &value, "grown") }.expect("accepted");
        assert_eq!(old, [FIRST as u64, 1, 9, 9, 9]);

        let mut newer = memory(KNOWN + 8, 0);
        // SAFETY: the size stays within the array.
        unsafe { write(newer.as_mut_ptr().cast(), &value, "grown") }.expect("accepted");
        assert_eq!(newer, [(KNOWN + 8) as u64, 1, 2, 0, 0]);
    }

    #[test]
    fn init_zeroes_what_the_caller_has() {
        let mut newer = memory(0, 9);
        // SAFETY: the size stays within the array.
        unsafe { init::<Grown>(newer.as_mut_ptr().cast(), KNOWN + 8, "grown") }.expect("accepted");
        assert_eq!(newer, [(KNOWN + 8) as u64, 0, 0, 0, 9]);
    }
}
