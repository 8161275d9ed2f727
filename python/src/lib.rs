//! The Python module `nyala`: a translation of the core's operations, nothing more.
//!
//! Three rules hold everywhere here. Arguments are taken apart before a store is entered, because taking them apart
//! runs other people's code. Between entering and leaving, only allocations that the garbage collector does not track
//! are made, and no Python code runs but a listener, which the core calls with no lock held. What may take long (large
//! values, batches, scans that find little, changes of a file) detaches from the interpreter.

mod args;
mod batch;
mod clock;
mod errors;
mod files;
mod handle;
mod life;
mod mapping;
mod numbers;
mod open;
mod pin;
mod read;
mod removal;
mod scan;
mod store;

use pyo3::prelude::*;

/// The compiled half of nyala; import `nyala` instead.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("MIN_MAX_BYTES", nyala::MIN_MAX_BYTES)?;
    module.add("MAX_MAX_BYTES", nyala::MAX_MAX_BYTES)?;
    module.add("MIN_FILE_BYTES", nyala::MIN_FILE_BYTES)?;
    module.add("DEFAULT_FILE_BYTES", nyala::DEFAULT_FILE_BYTES)?;
    module.add_class::<store::Store>()?;
    module.add_class::<pin::Pin>()?;
    module.add_class::<scan::Scan>()?;
    module.add_function(wrap_pyfunction!(files::verify, module)?)?;
    module.add_function(wrap_pyfunction!(files::salvage, module)?)
}
