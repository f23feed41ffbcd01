"""Files that are replaced whole, and what is written through because it is no file."""

import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from iafsweep.atomic import is_standard_output, replacing, write_text, writing


def put(path, text):
    with writing(path) as temporary:
        temporary.write_text(text)


def test_links_are_followed_to_what_a_person_names_and_replaced_in_folders_of_our_own(tmp_path):
    (tmp_path / "deep").mkdir()
    target, link = tmp_path / "deep" / "target.csv", tmp_path / "link.csv"
    link.symlink_to("deep/target.csv")
    put(link, "through a link to nothing yet")
    assert target.read_text() == "through a link to nothing yet"
    put(link, "again")
    assert (target.read_text(), link.is_symlink()) == ("again", True)
    write_text(link, "a file of ours")
    assert (target.read_text(), link.read_text(), link.is_symlink()) == ("again", "a file of ours", False)
    assert sorted(os.listdir(tmp_path)) == ["deep", "link.csv"]
    assert os.listdir(tmp_path / "deep") == ["target.csv"]


def test_a_pipe_stays_a_pipe_and_its_reader_gets_all(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    put(pipe, "x" * 100_000)
    reader.join(10)
    assert read == ["x" * 100_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_devices_are_written_through(tmp_path):
    (tmp_path / "link").symlink_to("/dev/null")
    for name in (Path("/dev/null"), tmp_path / "link"):
        put(name, "gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(OSError, match="No space left"):
        put(Path("/dev/full"), "x")


def test_folders_sockets_and_loops_are_refused_and_stay(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(IsADirectoryError):
        put(tmp_path, "x")
    with pytest.raises(OSError, match="symbolic links"):
        put(tmp_path / "a", "x")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        with pytest.raises(OSError, match="Invalid argument"):
            put(tmp_path / "s", "x")
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "s"]


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
@pytest.mark.parametrize("opened", ["pipe", "appended file"])
def test_standard_output_by_any_name_is_written_to_where_it_leads(tmp_path, name, opened):
    """A file behind ``>>`` keeps what it holds: it is open, and not replaced."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    code = (
        "import sys; from pathlib import Path; from iafsweep.atomic import *\n"
        "assert is_standard_output(Path(sys.argv[1]))\n"
        "with writing(Path(sys.argv[1])) as whole: whole.write_text('new\\n')\n"
        "print('after')"
    )
    out = tmp_path / "out.txt"
    out.write_text("old\n")
    with out.open("ab") as file:
        done = subprocess.run(
            [sys.executable, "-c", code, name],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE if opened == "pipe" else file,
            check=True,
        )
    assert (done.stdout or out.read_bytes()).decode() == ("" if opened == "pipe" else "old\n") + "new\nafter\n"


def test_other_names_are_not_standard_output(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for name in ("/dev/stderr", "/dev/null", "/proc/1/fd/1", tmp_path / "-", tmp_path / "loop"):
        assert not is_standard_output(tmp_path / name)
    assert not is_standard_output(None)


@pytest.mark.parametrize("name", ["x" * 255, "ä" * 127, "x" * 199 + "ä"])
def test_names_as_long_as_the_file_system_allows(tmp_path, name):
    with replacing(tmp_path / name) as temporary:
        temporary.write_text("whole")
    assert (tmp_path / name).read_text() == "whole"
