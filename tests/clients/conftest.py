"""The real program for real clients: the fixtures of the end-to-end tests, under another name because pytest calls this
file `conftest` too."""

import importlib.util
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
_path = HERE.parent / "e2e/conftest.py"
_spec = importlib.util.spec_from_file_location("elanus_program", _path)
program = importlib.util.module_from_spec(_spec)
sys.modules["elanus_program"] = program
_spec.loader.exec_module(program)

# Helpers that are no tests explain their failed assertions, too.
sys.path.insert(0, str(HERE / "python"))
pytest.register_assert_rewrite("flows", "data", "place")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One program for all tests that only add collections of their own."""
    running = program.Server(tmp_path_factory.mktemp("server"))
    yield running
    running.kill()


@pytest.fixture(scope="session")
def guarded(tmp_path_factory):
    """One that asks for passwords: root's is Milvus."""
    running = program.Server(tmp_path_factory.mktemp("guarded"), environment={"ELANUS_AUTH": "true"})
    yield running
    running.kill()
