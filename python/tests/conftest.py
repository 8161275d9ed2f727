import gc
import sys

import pytest

import nyala
from helpers import MIB, Clock

@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock):
    with nyala.Store(max_bytes=16 * MIB, clock=clock) as store:
        yield store


@pytest.fixture
def eager_switching():
    """Threads give way to each other as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def eager_gc():
    """The garbage collector runs at nearly every allocation that it tracks."""
    before = gc.get_threshold()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)
