"""Starts the real program, then runs the command given with ELANUS_URL set, and ELANUS_IMPORTS to a folder of imports."""

import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from conftest import Server  # noqa: E402


def main():
    with tempfile.TemporaryDirectory() as folder:
        server = Server(pathlib.Path(folder) / "data")
        try:
            return subprocess.run(sys.argv[1:], env={**os.environ, "ELANUS_URL": server.url}, check=False).returncode
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
