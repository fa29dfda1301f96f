"""The places where flows run, and what they saw in each."""

import flows  # noqa: F401
import pytest
from place import Place


@pytest.fixture
def place(server):
    here = Place(server.url)
    yield here
    here.tidy()


@pytest.fixture
def lite(tmp_path):
    pytest.importorskip("milvus_lite")
    here = Place(str(tmp_path / "lite.db"), is_lite=True)
    yield here
    here.tidy()
