//! Many keys at once, in steps.
//!
//! A small batch stays attached to the interpreter. A large one is cut into steps that run detached, with a look for
//! Ctrl-C between them; what earlier steps did stays done.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{
    PyByteArray, PyBytes, PyDict, PyIterator, PyList, PyMapping, PyMemoryView, PyString, PyTuple,
};

use crate::args::{self, Bytes};
use crate::errors::{self, OrRaise};
use crate::open::Open;
use crate::read::{LARGE, new_bytes};
use crate::store::Store;

/// Keys of one step: about a tenth of a millisecond, a thousand times what detaching takes.
const STEP: usize = 1024;
/// Keys of the first step of a `get_many`.
const FIRST_STEP: usize = 64;
/// Bytes that a detached step of a `get_many` should gather at most, beside the objects that are made of them.
const GATHERED: usize = 1 << 20;

/// The keys, each held, so that nobody can take them away while their bytes are borrowed.
pub(crate) fn keys<'py>(object: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if let Ok(list) = object.cast::<PyList>() {
        return Ok(list.iter().collect());
    }
    if let Ok(tuple) = object.cast::<PyTuple>() {
        return Ok(tuple.iter().collect());
    }
    // One key instead of several: iterating would take it apart.
    if object.is_instance_of::<PyString>()
        || object.is_instance_of::<PyBytes>()
        || object.is_instance_of::<PyByteArray>()
        || object.is_instance_of::<PyMemoryView>()
    {
        let found = object.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "keys must be an iterable of keys, not one '{found}'"
        )));
    }
    object.try_iter()?.collect()
}

/// The bytes of all keys.
pub(crate) fn key_bytes<'a>(keys: &'a [Bound<'_, PyAny>]) -> PyResult<Vec<Bytes<'a>>> {
    keys.iter().map(args::key).collect()
}

/// The values in the order of the keys, `None` for a miss.
pub(crate) fn get<'py>(
    py: Python<'py>,
    store: &nyala::Store,
    keys: &[Bytes<'_>],
) -> PyResult<Vec<Option<Bound<'py, PyBytes>>>> {
    let mut values = Vec::with_capacity(keys.len());
    let mut rest = keys;
    // How long values are shows only as they come: a short first step, and each next one by what the last one saw.
    let mut value_len = 0;
    let mut step = FIRST_STEP;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(step.min(rest.len()));
        let begun = values.len();
        if keys.len() > STEP || now.len() * value_len > GATHERED / 4 {
            get_detached(py, store, now, &mut values)?;
            py.check_signals()?;
        } else {
            get_attached(py, store, now, &mut values)?;
        }
        let found =
            values[begun..].iter().flatten().map(|value| value.as_bytes().len()).sum::<usize>();
        value_len = found / now.len();
        step = (GATHERED / value_len.max(1)).clamp(1, STEP);
        rest = later;
    }
    Ok(values)
}

fn get_attached<'py>(
    py: Python<'py>,
    store: &nyala::Store,
    keys: &[Bytes<'_>],
    values: &mut Vec<Option<Bound<'py, PyBytes>>>,
) -> PyResult<()> {
    let base = values.len();
    values.resize(base + keys.len(), None);
    let mut failed = None;
    store
        .get_many(keys, |index, value| {
            values[base + index] = value
                .and_then(|value| new_bytes(py, value).map_err(|error| failed = Some(error)).ok());
        })
        .or_raise()?;
    failed.map_or(Ok(()), Err)
}

/// Gathers the values of a step in one piece of memory while detached, then makes objects of them.
fn get_detached<'py>(
    py: Python<'py>,
    store: &nyala::Store,
    keys: &[Bytes<'_>],
    values: &mut Vec<Option<Bound<'py, PyBytes>>>,
) -> PyResult<()> {
    let mut gathered = Vec::<u8>::new();
    let mut places = vec![None; keys.len()];
    py.detach(|| {
        store.get_many(keys, |index, value| {
            places[index] = value.map(|value| {
                let start = gathered.len();
                gathered.extend_from_slice(value);
                start..gathered.len()
            });
        })
    })
    .or_raise()?;
    for place in places {
        values.push(place.map(|place| new_bytes(py, &gathered[place])).transpose()?);
    }
    Ok(())
}

/// Whether each key was there.
pub(crate) fn delete(py: Python<'_>, store: &Open, keys: &[Bytes<'_>]) -> PyResult<Vec<bool>> {
    if keys.len() <= STEP {
        return store.change(py, 0, |store| store.delete_many(keys)).or_raise();
    }
    let mut deleted = Vec::with_capacity(keys.len());
    for keys in keys.chunks(STEP) {
        deleted.extend(py.detach(|| store.delete_many(keys)).or_raise()?);
        py.check_signals()?;
    }
    Ok(deleted)
}

/// Items that were not stored, by their place in the batch.
pub(crate) type Failed = Vec<(usize, nyala::Error)>;

/// Stores pairs, all of them even if some fail. Every pair's bytes must have been taken before the store was entered.
fn set_step(
    py: Python<'_>,
    store: &Open,
    pairs: &[(Bytes<'_>, Bytes<'_>)],
    done: usize,
    failed: &mut Failed,
) -> PyResult<()> {
    let len: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
    let len = if pairs.len() < STEP { len } else { LARGE };
    let outcomes = store.change(py, len, |store| store.set_many(pairs));
    let outcomes = outcomes.or_raise()?.into_iter().enumerate();
    failed.extend(
        outcomes.filter_map(|(index, outcome)| outcome.err().map(|error| (done + index, error))),
    );
    Ok(())
}

/// Stores what a mapping or an iterable of pairs gives: how many items there were, and which of them failed. The store
/// is entered for each step anew, and not while pairs are being taken from the iterable.
fn set(store: &Store, items: &Bound<'_, PyAny>) -> PyResult<(usize, Failed)> {
    let py = items.py();
    let mut source = Source::new(items)?;
    let mut objects = Vec::new();
    let mut done = 0;
    let mut failed = Failed::new();
    loop {
        objects.clear();
        while objects.len() < STEP
            && let Some(pair) = source.next(done + objects.len())?
        {
            objects.push(pair);
        }
        if objects.is_empty() {
            return Ok((done, failed));
        }
        let pairs = objects
            .iter()
            .map(|(key, value)| Ok((args::key(key)?, args::value(value)?)))
            .collect::<PyResult<Vec<_>>>()?;
        set_step(py, &*store.enter(py)?, &pairs, done, &mut failed)?;
        done += pairs.len();
        if pairs.len() == STEP {
            py.check_signals()?;
        }
    }
}

/// Stores what a mapping or an iterable of pairs gives as one, after all of it was taken: how many items there were.
pub(crate) fn set_atomic(store: &Store, items: &Bound<'_, PyAny>) -> PyResult<usize> {
    let py = items.py();
    let mut source = Source::new(items)?;
    let mut objects = Vec::new();
    while let Some(pair) = source.next(objects.len())? {
        objects.push(pair);
        if objects.len().is_multiple_of(STEP) {
            py.check_signals()?;
        }
    }
    let pairs = objects
        .iter()
        .map(|(key, value)| Ok((args::key(key)?, args::value(value)?)))
        .collect::<PyResult<Vec<_>>>()?;
    let len = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
    let inside = store.enter(py)?;
    inside.change(py, len, |store| store.set_many_atomic(&pairs)).or_raise()?;
    Ok(pairs.len())
}

type Pair<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

/// What `dict.update` takes: a mapping, anything with `keys` and `[]`, or pairs.
enum Source<'py> {
    Pairs(Bound<'py, PyIterator>),
    Keys(Bound<'py, PyAny>, Bound<'py, PyIterator>),
}

impl<'py> Source<'py> {
    fn new(items: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(dict) = items.cast_exact::<PyDict>() {
            return Ok(Source::Pairs(dict.items().try_iter()?));
        }
        // Before the look for a mapping, which asks the abstract base class.
        if items.is_exact_instance_of::<PyList>() || items.is_exact_instance_of::<PyTuple>() {
            return Ok(Source::Pairs(items.try_iter()?));
        }
        if items.cast::<PyMapping>().is_ok() {
            return Ok(Source::Pairs(items.call_method0("items")?.try_iter()?));
        }
        if let Some(keys) = items.getattr_opt("keys")? {
            return Ok(Source::Keys(items.clone(), keys.call0()?.try_iter()?));
        }
        Ok(Source::Pairs(items.try_iter()?))
    }

    fn next(&mut self, index: usize) -> PyResult<Option<Pair<'py>>> {
        match self {
            Source::Keys(items, keys) => {
                let Some(key) = keys.next().transpose()? else {
                    return Ok(None);
                };
                let value = items.get_item(&key)?;
                Ok(Some((key, value)))
            }
            Source::Pairs(pairs) => {
                pairs.next().transpose()?.map(|item| pair(&item, index)).transpose()
            }
        }
    }
}

fn pair<'py>(item: &Bound<'py, PyAny>, index: usize) -> PyResult<Pair<'py>> {
    if let Ok(pair) = item.cast::<PyTuple>()
        && pair.len() == 2
    {
        return Ok((pair.get_item(0)?, pair.get_item(1)?));
    }
    let parts = match item.try_iter() {
        Ok(parts) => parts.collect::<PyResult<Vec<_>>>()?,
        Err(error) if error.is_instance_of::<PyTypeError>(item.py()) => {
            let found = item.get_type().name()?;
            let text = format!("item {index} must be a pair of key and value, not '{found}'");
            return Err(PyTypeError::new_err(text));
        }
        Err(error) => return Err(error),
    };
    let len = parts.len();
    <[_; 2]>::try_from(parts).map(|[key, value]| (key, value)).map_err(|_| {
        PyValueError::new_err(format!("item {index} has {len} parts: expected a key and a value"))
    })
}

/// Stores the items of a mapping or of an iterable of pairs, and answers how many. The first failure is raised, with all
/// of them by place.
pub(crate) fn set_all(store: &Store, items: &Bound<'_, PyAny>) -> PyResult<usize> {
    let py = items.py();
    let (count, failed) = set(store, items)?;
    let Some((first, error)) = failed.first() else {
        return Ok(count);
    };
    let raised = errors::exception(error);
    let text = format!(
        "set_many: item {first} failed first; {} of {count} items were stored",
        count - failed.len()
    );
    let outcomes = PyDict::new(py);
    for (index, error) in &failed {
        outcomes.set_item(index, errors::exception(error).into_value(py))?;
    }
    let value = raised.value(py);
    value.setattr("failed", outcomes)?;
    value.call_method1("add_note", (text,))?;
    Err(raised)
}
