"""What the tests of measuring share."""

import gc

import pytest

from validation.kernels import registry
from validation.kernels.registry import Kernels
from validation.subject.demo_scan import write_demo_scan


@pytest.fixture
def as_in_a_child():
    """The collector passes over what was there before, as in a child: with all of pytest it takes long."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def scan_path(tmp_path_factory):
    """The built-in scan as a file."""
    path = tmp_path_factory.mktemp("scan") / "scan.npz"
    write_demo_scan(path)
    return str(path)


@pytest.fixture(scope="session")
def kernels():
    """The kernels of the package."""
    return Kernels(registry.built_in())
