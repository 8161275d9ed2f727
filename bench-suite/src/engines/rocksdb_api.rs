//! The part of RocksDB's C interface that the engine calls, looked up in the shared library at run time: no header, no C++
//! compiler and no 343 source files at build time, and a run without the library only lacks one row.

use std::ffi::{CStr, c_char, c_double, c_int, c_uchar, c_void};
use std::mem::ManuallyDrop;
use std::path::PathBuf;

use libloading::Library;

use crate::fault::{Context, Fault, Result};

/// Names under which the library may be installed, the tested one first.
const NAMES: [&str; 3] = ["librocksdb.so.7.8", "librocksdb.so.7", "librocksdb.so"];

/// Any of the library's objects.
pub(crate) type Object = *mut c_void;
/// Where a call leaves its error text.
pub(crate) type ErrorOut = *mut *mut c_char;

macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions, valid for the life of the process.
        #[derive(Debug)]
        #[expect(non_snake_case, reason = "the library's names, the abbreviation for its log among them")]
        pub(crate) struct Api {
            $(pub(crate) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
            /// File that was loaded: its name ends in the full version.
            pub(crate) file: PathBuf,
            /// Never unloaded: RocksDB's background threads run its code until the process ends.
            _library: ManuallyDrop<Library>,
        }

        impl Api {
            #[expect(non_snake_case, reason = "as above")]
            fn bind(library: Library, file: PathBuf) -> Result<Api> {
                $(
                    // SAFETY: the type is the one that rocksdb/c.h of version 7.8 declares for this name.
                    let $name = unsafe {
                        library.get::<unsafe extern "C" fn($($argument),*) $(-> $result)?>(
                            concat!("rocksdb_", stringify!($name), "\0").as_bytes(),
                        )
                    };
                    let $name = *$name.context(|| format!("{} lacks a function", file.display()))?;
                )*
                Ok(Api { $($name,)* file, _library: ManuallyDrop::new(library) })
            }
        }
    };
}

functions! {
    options_create: fn() -> Object;
    options_destroy: fn(Object);
    options_set_create_if_missing: fn(Object, c_uchar);
    options_set_error_if_exists: fn(Object, c_uchar);
    options_set_compression: fn(Object, c_int);
    options_set_write_buffer_size: fn(Object, usize);
    options_set_max_background_jobs: fn(Object, c_int);
    options_set_block_based_table_factory: fn(Object, Object);
    block_based_options_create: fn() -> Object;
    block_based_options_destroy: fn(Object);
    block_based_options_set_block_cache: fn(Object, Object);
    block_based_options_set_filter_policy: fn(Object, Object);
    block_based_options_set_format_version: fn(Object, c_int);
    block_based_options_set_checksum: fn(Object, c_char);
    block_based_options_set_data_block_index_type: fn(Object, c_int);
    block_based_options_set_data_block_hash_ratio: fn(Object, c_double);
    cache_create_lru: fn(usize) -> Object;
    cache_destroy: fn(Object);
    filterpolicy_create_bloom_full: fn(c_double) -> Object;
    open_column_families: fn(Object, *const c_char, c_int, *const *const c_char, *const Object, *mut Object, ErrorOut) -> Object;
    column_family_handle_destroy: fn(Object);
    close: fn(Object);
    writeoptions_create: fn() -> Object;
    writeoptions_destroy: fn(Object);
    writeoptions_disable_WAL: fn(Object, c_int);
    writeoptions_set_sync: fn(Object, c_uchar);
    writebatch_create: fn() -> Object;
    writebatch_destroy: fn(Object);
    writebatch_put: fn(Object, *const c_char, usize, *const c_char, usize);
    write: fn(Object, Object, Object, ErrorOut);
    delete: fn(Object, Object, *const c_char, usize, ErrorOut);
    flush_wal: fn(Object, c_uchar, ErrorOut);
    readoptions_create: fn() -> Object;
    readoptions_destroy: fn(Object);
    put: fn(Object, Object, *const c_char, usize, *const c_char, usize, ErrorOut);
    get_pinned: fn(Object, Object, *const c_char, usize, ErrorOut) -> Object;
    batched_multi_get_cf: fn(Object, Object, Object, usize, *const *const c_char, *const usize, *mut Object, *mut *mut c_char, bool);
    pinnableslice_value: fn(Object, *mut usize) -> *const c_char;
    pinnableslice_destroy: fn(Object);
    flushoptions_create: fn() -> Object;
    flushoptions_destroy: fn(Object);
    flush: fn(Object, Object, ErrorOut);
    property_int: fn(Object, *const c_char, *mut u64) -> c_int;
    free: fn(*mut c_void);
}

impl Api {
    pub(crate) fn load() -> Result<Api> {
        for name in NAMES {
            // SAFETY: loading runs the library's initialisers, which RocksDB's allow at any time; nothing else is assumed.
            let Ok(library) = (unsafe { Library::new(name) }) else {
                continue;
            };
            let file = loaded_file().unwrap_or_else(|| PathBuf::from(name));
            return Api::bind(library, file);
        }
        Err(Fault::new(
            "librocksdb.so.7.8 is not installed; `apt-get install librocksdb7.8` brings it",
        ))
    }

    /// The version in the file's name, such as 7.8.3 in librocksdb.so.7.8.3.
    pub(crate) fn version(&self) -> String {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        name.split_once(".so.")
            .map_or_else(|| "unknown".to_owned(), |(_, version)| version.to_owned())
    }

    /// Turns an error text into a fault, and gives its memory back.
    pub(crate) fn check(&self, error: *mut c_char, doing: &str) -> Result<()> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: the library leaves a null-terminated text of its own there, which nobody else holds.
        let text = unsafe { CStr::from_ptr(error) }.to_string_lossy().into_owned();
        // SAFETY: the text came from the library's allocator and is not used again.
        unsafe { (self.free)(error.cast()) };
        Err(Fault::new(format!("RocksDB: {doing}: {text}")))
    }
}

/// The loaded library's real path, from this process's map of files.
fn loaded_file() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let path = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .find(|path| path.contains("librocksdb"))?;
    std::fs::canonicalize(path).ok()
}
