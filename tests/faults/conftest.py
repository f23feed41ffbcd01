"""A disk of a few megabytes that can be filled."""

import subprocess

import pytest


class SmallDisk:
    """A tmpfs; ``fill`` leaves a number of bytes free, ``free`` gives the room back."""

    def __init__(self, path):
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, leave=0):
        import os
        import shutil

        os.sync()
        with self._ballast.open("ab") as file:
            while (room := shutil.disk_usage(self.path).free - leave) > 0:
                file.write(b"\0" * min(room, 2**20))
                file.flush()

    def free(self):
        self._ballast.unlink()


@pytest.fixture
def small_disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", path], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield SmallDisk(path)
    subprocess.run(["umount", "--lazy", path], check=True)
