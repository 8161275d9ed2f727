//! A byte string is a sequence of calls of the C functions, with arguments as a careless or hostile program passes
//! them: NULL, lengths that no memory has, buffers that are too short, sizes of structs that no version has, options
//! that are not known. What the header calls undefined is left out: pointers that are not valid for their length,
//! handles that were given back.
//!
//! Nothing may crash, no status come that the header does not name for the function, and no output be written where the
//! header says that none is.
#![no_main]

mod arguments;
mod calls;
mod documented;
mod session;

use std::sync::LazyLock;

use documented::Documented;
use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use session::Session;

static DOCUMENTED: LazyLock<Documented> = LazyLock::new(Documented::read);

fuzz_target!(|bytes: &[u8]| {
    let mut input = Unstructured::new(bytes);
    let mut session = Session::new(&DOCUMENTED);
    while !input.is_empty() {
        // The only error is that the input is at its end.
        if calls::one(&mut session, &mut input).is_err() {
            break;
        }
    }
    session.end();
});
