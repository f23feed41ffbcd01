"""The table of faults in docs/sweeps.md names tests that exist and that `make test-faults` runs."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "sweeps.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:sweep/\w+|faults|cli|results)/test_\w+\.py)`", PAGE)))


def test_the_table_names_tests():
    assert len(NAMED) >= 10


@pytest.mark.parametrize("name", NAMED)
def test_named_tests_exist_and_are_run_with_the_table(name):
    assert "pytest.mark.faults" in (TESTS / name).read_text()
