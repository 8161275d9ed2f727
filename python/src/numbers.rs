//! What a store tells of itself, and how large it may be.

use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyType};

use crate::args::{self, Given};
use crate::errors::{self, OrRaise};
use crate::read::new_bytes;
use crate::store::{Store, class};

/// Longest that `maintain` works without a look for Ctrl-C.
const MAINTAIN_STEP: Duration = Duration::from_millis(50);

/// What names the first keys of an order, each with a number.
type Ranking = fn(&nyala::Store, usize) -> nyala::Result<Vec<(Vec<u8>, u64)>>;

impl Store {
    /// A list of at most `most` keys, each with a number.
    fn rank<'py>(
        &self,
        py: Python<'py>,
        most: &Bound<'py, PyAny>,
        find: Ranking,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, u64)>> {
        let most = args::most(most)?;
        let inside = self.enter(py)?;
        let found = py.detach(|| find(&inside, most)).or_raise()?;
        drop(inside);
        found.into_iter().map(|(key, number)| Ok((new_bytes(py, &key)?, number))).collect()
    }
}

#[pymethods]
impl Store {
    /// Numbers about the store (Stats). Takes microseconds.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let inside = self.enter(py)?;
        inside.check().or_raise()?;
        let stats = inside.stats();
        drop(inside);
        let fields = [
            ("entries", stats.entries),
            ("max_bytes", stats.max_bytes),
            ("used_bytes", stats.used_bytes),
            ("live_bytes", stats.live_bytes),
            ("dead_bytes", stats.dead_bytes),
            ("slack_bytes", stats.slack_bytes),
            ("index_bytes", stats.index_bytes),
            ("segment_bytes", stats.segment_bytes),
            ("segments_leased", stats.segments_leased),
            ("runs", stats.runs),
            ("run_bytes", stats.run_bytes),
            ("segments_free", stats.segments_free),
            ("segments_limbo", stats.segments_limbo),
            ("segments_pinned", stats.segments_pinned),
            ("stripes", stats.stripes),
            ("fewest_in_stripe", stats.fewest_in_stripe),
            ("most_in_stripe", stats.most_in_stripe),
            ("index_pages", stats.index_pages),
            ("entries_relaid", stats.entries_relaid),
            ("records_moved", stats.records_moved),
            ("bytes_moved", stats.bytes_moved),
            ("expired", stats.expired),
            ("hits", stats.hits),
            ("misses", stats.misses),
            ("oldest_ms", stats.oldest_ms),
            ("evicted", stats.evicted),
            ("bytes_evicted", stats.bytes_evicted),
        ];
        let named = PyDict::new(py);
        for (name, number) in fields {
            named.set_item(name, number)?;
        }
        class(&CLASS, py, "nyala._types", "Stats")?.call((), Some(&named))
    }

    /// The keys that were read most of late, each with about how often, most first: at most `most` of them.
    ///
    /// Known by samples of one read in 64, if reads are counted: in a cache, or with ``count_reads=True``. A key that is
    /// read less than one in some sixteen reads may be missing or overestimated.
    ///
    /// >>> import nyala
    /// >>> store = nyala.Store(max_bytes=64 << 20, count_reads=True)
    /// >>> store["k"] = b"v"
    /// >>> for _ in range(10_000):
    /// ...     value = store["k"], store.get("missing")
    /// >>> [key for key, reads in store.hottest(10)], store.stats().hits, store.stats().misses
    /// ([b'k'], 10000, 10000)
    #[pyo3(signature = (most, /))]
    fn hottest<'py>(
        &self,
        py: Python<'py>,
        most: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, u64)>> {
        self.rank(py, most, nyala::Store::hottest)
    }

    /// The keys with the longest values, each with its length in bytes, longest first: at most `most` of them.
    ///
    /// Looks at every entry, some 50 ns each, with the interpreter released.
    ///
    /// >>> import nyala
    /// >>> store = nyala.Store(max_bytes=1 << 20)
    /// >>> store.update({"short": b"1", "long": b"12345"})
    /// >>> store.largest(1)
    /// [(b'long', 5)]
    #[pyo3(signature = (most, /))]
    fn largest<'py>(
        &self,
        py: Python<'py>,
        most: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, u64)>> {
        self.rank(py, most, nyala::Store::largest)
    }

    /// Changes the cap, to between a quarter of the `max_bytes` that the store was opened with and four times as much,
    /// and at least 1 MiB; that of a file to between a quarter and what it was opened with, and at least 4 MiB.
    ///
    /// A smaller cap holds when this returns: memory was given back to the system, and a cache has evicted what did not
    /// fit. FullError: a store's entries do not fit, or pins are in the way; the cap is what it was. The longest value
    /// stays what it was.
    ///
    /// >>> import nyala
    /// >>> store = nyala.Store(max_bytes=64 << 20)
    /// >>> store.set_max_bytes(256 << 20)
    /// >>> store.max_bytes >> 20
    /// 256
    #[pyo3(signature = (max_bytes, /))]
    fn set_max_bytes(&self, py: Python<'_>, max_bytes: &Bound<'_, PyAny>) -> PyResult<()> {
        let max_bytes = args::max_bytes(max_bytes, nyala::MIN_MAX_BYTES)?;
        let inside = self.enter(py)?;
        py.detach(|| inside.set_max_bytes(max_bytes)).or_raise()
    }

    /// The cap in bytes, on memory or on the file. set_max_bytes changes it.
    #[getter]
    fn max_bytes(&self, py: Python<'_>) -> PyResult<u64> {
        let inside = self.enter(py)?;
        inside.check().or_raise()?;
        Ok(inside.store().max_bytes())
    }

    /// What is in use under the cap, in bytes: keys, values, slack, and in memory the index. Never more than max_bytes.
    #[getter]
    fn used_bytes(&self, py: Python<'_>) -> PyResult<u64> {
        let inside = self.enter(py)?;
        inside.check().or_raise()?;
        Ok(inside.store().used_bytes())
    }

    /// Reclaims the memory of dead entries for at most `budget` seconds, and answers how many bytes more there are to
    /// reclaim. Never needed: writes do as much as they need themselves.
    #[pyo3(signature = (budget=Given::NOTHING), text_signature = "($self, budget=0.001)")]
    fn maintain(&self, py: Python<'_>, budget: Given<'_>) -> PyResult<u64> {
        let budget = budget
            .0
            .as_ref()
            .map_or(Ok(Duration::from_millis(1)), |budget| args::budget(budget, "budget"))?;
        let began = Instant::now();
        loop {
            let inside = self.enter(py)?;
            let step = budget.saturating_sub(began.elapsed()).min(MAINTAIN_STEP);
            let left = py.detach(|| inside.maintain(step)).or_raise()?.bytes;
            drop(inside);
            py.check_signals()?;
            if left == 0 || began.elapsed() >= budget {
                return Ok(left);
            }
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        // At whatever time the clock answered last: a picture must not fail.
        let Some(inside) = self.open.enter() else {
            return Ok("<nyala.Store, closed>".to_owned());
        };
        if let Err(error) = inside.check() {
            return Ok(format!(
                "<nyala.Store, {}>",
                errors::exception(&error).get_type(py).name()?
            ));
        }
        let place = self.file.as_ref().map(|file| format!(" in {:?}", file.path));
        Ok(format!(
            "<nyala.Store{} of {} entries, {} of {} bytes used>",
            place.unwrap_or_default(),
            inside.len(),
            inside.store().used_bytes(),
            inside.store().max_bytes()
        ))
    }
}
