#!/bin/sh
# Tests the Python module as a user gets it: installs ./python into a fresh virtual environment, runs the tests against
# what was installed, and compares the type stubs with it. PYTHON chooses the interpreter; arguments go to pytest.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../target}
mkdir -p "$target"
target=$(CDPATH='' cd -- "$target" && pwd)
python=${PYTHON:-python3}
environment=$target/python-test

if ! command -v "$python" >/dev/null; then
    echo "python/test.sh: no $python found: install Python 3.11 or later (Debian: apt-get install python3 python3-venv)" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "python/test.sh: $("$python" --version) is too old: 3.11 or later is needed (PYTHON=... chooses another)" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "python/test.sh: installing python3-venv"
        apt-get install -y -q python3-venv >/dev/null || { apt-get update -q >/dev/null && apt-get install -y -q python3-venv >/dev/null; }
    else
        echo "python/test.sh: $python has no module venv: install it (Debian: apt-get install python3-venv)" >&2
        exit 1
    fi
fi

rm -rf "$environment"
"$python" -m venv "$environment"
# The tools are kept for the next run by pip's own cache.
CARGO_TARGET_DIR=$target "$environment/bin/pip" install -q --disable-pip-version-check "$here" pytest hypothesis mypy

# In the environment's folder, so that nothing is imported, and nothing left behind, in the tree.
cd "$environment"
PYTHONDONTWRITEBYTECODE=1 bin/python -m mypy.stubtest nyala \
    --mypy-config-file "$here/pyproject.toml" \
    --allowlist "$here/tests/stubtest-allow.txt" --ignore-unused-allowlist
bin/python -m mypy --config-file "$here/pyproject.toml" --cache-dir "$environment/mypy" -p nyala
PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY=$environment/hypothesis \
    exec bin/pytest -q -c "$here/pyproject.toml" --rootdir "$here" -o "cache_dir=$environment/pytest" "$@" "$here/tests"
