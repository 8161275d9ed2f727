"""What the documentation says is so."""

import doctest
import inspect
import pathlib
import re
import tomllib

import pytest

import nyala
from operations import OPERATIONS

ROOT = pathlib.Path(__file__).parents[2]


def documented():
    """Everything public, by name."""
    found = {"nyala": nyala}
    for name in nyala.__all__:
        thing = getattr(nyala, name)
        if inspect.isclass(thing):
            found[name] = thing
            for member in vars(thing):
                if not member.startswith("_") and not issubclass(thing, tuple):
                    found[f"{name}.{member}"] = getattr(thing, member)
        elif inspect.isbuiltin(thing):
            found[name] = thing
    return found


EXAMPLES = [
    pytest.param(test, id=name)
    for name, thing in documented().items()
    if (test := doctest.DocTestParser().get_doctest(inspect.getdoc(thing) or "", {}, name, None, 0)).examples
]


@pytest.mark.parametrize("test", EXAMPLES)
def test_examples(test):
    result = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF).run(test, clear_globs=False)
    assert result.attempted > 0 and result.failed == 0


def test_there_are_examples():
    assert len(EXAMPLES) >= 10


def test_everything_is_documented():
    assert [name for name, thing in documented().items() if not (inspect.getdoc(thing) or "").strip()] == []


def run_examples(document):
    """Runs the Python examples of a document; how many there were."""
    examples = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    for example in examples:
        exec(compile(example, document, "exec"), {})
    return len(examples)


def test_readme(capsys):
    assert run_examples("python/README.md") == 3
    assert capsys.readouterr().out == "b'session' b'xyz'\nTrue\nb'xyz' 3600.0\n"
    # What the comments say.
    with nyala.Store(max_bytes=64 << 20) as store:
        assert store.increment("visits") == 1 and store["visits"] == b"1"


def test_readme_of_the_project(capsys):
    assert run_examples("README.md") == 3
    assert capsys.readouterr().out == "b'hello!' 3\nTrue True\nb'1' True\n"


def test_version():
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())
    assert nyala.__version__ == cargo["workspace"]["package"]["version"]


def test_stats_are_those_of_the_core():
    core = (ROOT / "core" / "src" / "stats.rs").read_text()
    assert tuple(re.findall(r"^    pub (\w+): u64,", core, re.MULTILINE)) == nyala.Stats._fields


def test_errors_are_those_of_the_core():
    core = (ROOT / "core" / "src" / "error.rs").read_text()
    enum = re.search(r"pub enum Error \{(.*?)^\}", core, re.DOTALL | re.MULTILINE)[1]
    names = set(re.findall(r"^    (\w+)[ ({,]", enum, re.MULTILINE))
    translation = (ROOT / "python" / "src" / "errors.rs").read_text()
    assert names and all(f"E::{name}" in translation for name in names)


def test_all_is_sorted_and_whole():
    public = {name for name in vars(nyala) if not name.startswith("_") and not inspect.ismodule(getattr(nyala, name))}
    assert set(nyala.__all__) == public | {"__version__"}
    assert OPERATIONS.keys() >= {name for name in dir(nyala.Store) if not name.startswith("_")} - {"close", "closed", "path"}
