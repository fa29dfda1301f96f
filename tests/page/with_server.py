"""Starts the real program and some drawn photos, then runs the command given with ELANUS_URL and ELANUS_PHOTOS set."""

import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from conftest import Server, draw  # noqa: E402


def main():
    with tempfile.TemporaryDirectory() as folder:
        photos = pathlib.Path(folder) / "photos"
        for seed in range(12):
            draw(photos / f"photo-{seed:02}.jpg", seed, size=(320, 240))
        server = Server(pathlib.Path(folder) / "data", "--image-root", photos)
        try:
            environment = {**os.environ, "ELANUS_URL": server.url, "ELANUS_PHOTOS": str(photos)}
            return subprocess.run(sys.argv[1:], env=environment, check=False).returncode
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
