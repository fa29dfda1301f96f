"""Starts the real program, which asks for passwords, then runs the command given with ELANUS_URL set, and ELANUS_IMPORTS
to a folder of imports."""

import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from conftest import Server


def main():
    with tempfile.TemporaryDirectory() as folder:
        imports = pathlib.Path(folder) / "imports"
        imports.mkdir()
        server = Server(pathlib.Path(folder) / "data", environment={"ELANUS_AUTH": "true", "ELANUS_IMPORT_ROOT": str(imports)})
        try:
            environment = {**os.environ, "ELANUS_URL": server.url, "ELANUS_IMPORTS": str(imports)}
            return subprocess.run(sys.argv[1:], env=environment, check=False).returncode
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
