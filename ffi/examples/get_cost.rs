//! What C pays for a get beside Rust: `nyala_get` of the shared library against `Store::get_into`, values of 100 bytes.
//!
//! `cargo build --release -p nyala-ffi && cargo run --release -p nyala-ffi --example get_cost [target/release/libnyala.so]`
//!
//! Each side has stores of its own, filled alike, because the library brings its own copy of the core. Blocks of the two
//! alternate, and so does which comes first; pairs of stores are opened afresh several times, because where a store's
//! memory happens to lie moves its times by more than the difference that is looked for.
#![allow(clippy::print_stdout, reason = "a report for a person")]
#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "plain calls of a C interface, one after the other"
)]

use std::error::Error;
use std::ffi::{CString, c_int, c_void};
use std::hint::black_box;
use std::ptr;
use std::time::Instant;

use nyala::{Options, Store};

const VALUE_LEN: usize = 100;
const KEY_LEN: usize = 16;
const STORES: usize = 6;
const BLOCKS: usize = 12;

type Key = [u8; KEY_LEN];

/// `nyala_options`, as include/nyala.h has it.
#[repr(C)]
#[derive(Default)]
struct COptions {
    struct_size: usize,
    max_bytes: u64,
    now_ms: usize,
    now_ms_userdata: usize,
    flags: u64,
}

type Bytes = *const c_void;

/// The functions of the shared library that are needed here.
struct Library {
    options_init: unsafe extern "C" fn(*mut COptions, usize) -> c_int,
    open: unsafe extern "C" fn(*const COptions, *mut *mut c_void) -> c_int,
    close: unsafe extern "C" fn(*mut c_void) -> c_int,
    set: unsafe extern "C" fn(*mut c_void, Bytes, usize, Bytes, usize) -> c_int,
    get: unsafe extern "C" fn(*mut c_void, Bytes, usize, *mut c_void, usize, *mut usize) -> c_int,
}

impl Library {
    fn load(path: &str) -> Result<Library, Box<dyn Error>> {
        let path_text = CString::new(path)?;
        // SAFETY: a NUL-terminated path of a library whose loading runs no code of ours.
        let library = unsafe { libc::dlopen(path_text.as_ptr(), libc::RTLD_NOW) };
        if library.is_null() {
            return Err(format!(
                "{path} cannot be loaded: build it with cargo build --release -p nyala-ffi"
            )
            .into());
        }
        /// The function of this name.
        ///
        /// # Safety
        /// `F` is a function pointer of the type that the header declares.
        unsafe fn symbol<F: Copy>(library: *mut c_void, name: &str) -> F {
            assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
            let name = CString::new(name).expect("no NUL in a name");
            // SAFETY: an open library and a NUL-terminated name.
            let address = unsafe { libc::dlsym(library, name.as_ptr()) };
            assert!(!address.is_null(), "{name:?} is missing");
            // SAFETY: the caller vouches for the type, whose size is that of an address.
            unsafe { std::mem::transmute_copy(&address) }
        }
        // SAFETY: the fields have the types that include/nyala.h declares.
        unsafe {
            Ok(Library {
                options_init: symbol(library, "nyala_options_init"),
                open: symbol(library, "nyala_open"),
                close: symbol(library, "nyala_close"),
                set: symbol(library, "nyala_set"),
                get: symbol(library, "nyala_get"),
            })
        }
    }

    fn filled_store(&self, keys: &[Key], max_bytes: u64) -> *mut c_void {
        let mut options = COptions::default();
        let mut store = ptr::null_mut();
        let value = [7_u8; VALUE_LEN];
        // SAFETY: pointers to locals, with their sizes.
        unsafe {
            assert_eq!((self.options_init)(&raw mut options, size_of::<COptions>()), 0);
            options.max_bytes = max_bytes;
            assert_eq!((self.open)(&raw const options, &raw mut store), 0);
            for key in keys {
                let stored = (self.set)(
                    store,
                    key.as_ptr().cast(),
                    KEY_LEN,
                    value.as_ptr().cast(),
                    VALUE_LEN,
                );
                assert_eq!(stored, 0);
            }
        }
        store
    }

    /// Nanoseconds a get, over the keys in this order.
    fn get_all(&self, store: *mut c_void, order: &[Key]) -> f64 {
        let mut buffer = [0_u8; 256];
        let mut len = 0_usize;
        let mut bytes = 0;
        let started = Instant::now();
        for key in order {
            // SAFETY: an open store, and pointers to locals with their sizes.
            let status = unsafe {
                (self.get)(
                    store,
                    key.as_ptr().cast(),
                    KEY_LEN,
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    &raw mut len,
                )
            };
            assert!(status == 0);
            bytes += black_box(&buffer[..len]).len();
        }
        per_get(started, order, bytes)
    }
}

fn filled_store(keys: &[Key], max_bytes: u64) -> Result<Store, Box<dyn Error>> {
    let store = Store::open(Options::memory(max_bytes))?;
    for key in keys {
        store.set(key, [7_u8; VALUE_LEN])?;
    }
    Ok(store)
}

fn get_all(store: &Store, order: &[Key]) -> f64 {
    let mut buffer = Vec::with_capacity(256);
    let mut bytes = 0;
    let started = Instant::now();
    for key in order {
        assert!(matches!(store.get_into(key, &mut buffer), Ok(true)));
        bytes += black_box(&buffer[..]).len();
    }
    per_get(started, order, bytes)
}

fn per_get(started: Instant, order: &[Key], bytes: usize) -> f64 {
    let elapsed = started.elapsed();
    assert_eq!(bytes, order.len() * VALUE_LEN);
    #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let count = order.len() as f64;
    elapsed.as_secs_f64() * 1e9 / count
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn key(number: u64) -> Key {
    let mut key = *b"key:0000--------";
    key[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    key
}

fn compare(library: &Library, count: u64, gets: usize) -> Result<(), Box<dyn Error>> {
    let keys: Vec<Key> = (0..count).map(key).collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let order: Vec<Key> = (0..gets)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            key(state % count)
        })
        .collect();
    let max_bytes = (count * 400).max(64 << 20);

    let (mut rust_times, mut c_times, mut differences) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..STORES {
        // Which store is filled first may decide which gets the huge pages.
        let (rust, c);
        if round % 2 == 0 {
            rust = filled_store(&keys, max_bytes)?;
            c = library.filled_store(&keys, max_bytes);
        } else {
            c = library.filled_store(&keys, max_bytes);
            rust = filled_store(&keys, max_bytes)?;
        }
        for block in 0..BLOCKS {
            let (rust_ns, c_ns);
            if (round + block) % 2 == 0 {
                rust_ns = get_all(&rust, &order);
                c_ns = library.get_all(c, &order);
            } else {
                c_ns = library.get_all(c, &order);
                rust_ns = get_all(&rust, &order);
            }
            // The first block warms caches and page tables up.
            if block > 0 {
                rust_times.push(rust_ns);
                c_times.push(c_ns);
                differences.push(c_ns - rust_ns);
            }
        }
        // SAFETY: opened above, and not used afterwards.
        unsafe { (library.close)(c) };
    }
    println!(
        "{count:>9} keys: Rust get_into {:6.1} ns, C nyala_get {:6.1} ns, difference of pairs {:+6.1} ns",
        median(rust_times),
        median(c_times),
        median(differences)
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "target/release/libnyala.so".into());
    let library = Library::load(&path)?;
    println!(
        "values of {VALUE_LEN} bytes, keys of {KEY_LEN}; medians of {} pairs of blocks",
        STORES * (BLOCKS - 1)
    );
    compare(&library, 1_000, 200_000)?;
    compare(&library, 1_000_000, 500_000)?;
    Ok(())
}
