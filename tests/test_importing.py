"""Imports without searches for garbage, and the end of a command."""

import gc
import subprocess
import sys

import pytest

from iafsweep.importing import importing


def test_no_garbage_is_collected_while_importing():
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collection_is_back_after_an_import_that_failed():
    with pytest.raises(ModuleNotFoundError), importing():
        import no_such_module  # noqa: F401
    assert gc.isenabled()


def test_who_collects_nothing_collects_nothing_afterwards():
    gc.disable()
    try:
        with importing():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("program", ["run_single", "run_sweep"])
def test_a_command_ends_without_a_last_search_for_garbage(program):
    code = (
        "import atexit, gc, sys; from iafsweep.cli import entry; "
        "atexit.register(lambda: print('frozen:', gc.get_freeze_count() > 1000)); "  # runs after those registered later
        f"sys.argv = ['{program}.py', '--help']; entry.{program}()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("frozen: True\n")
