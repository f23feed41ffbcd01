import re
from statistics import fmean

import pytest

from benchmarks import paired


def test_pairs_are_trained_once_and_what_is_printed_is_their_difference(tmp_path, capsys):
    paired.main(tmp_path, quick=True)
    first = capsys.readouterr().out
    pairs = re.findall(r"^seed \d: float32 (\S+), fast (\S+), difference (\S+)$", first, re.MULTILINE)
    differences = [float(fast) - float(plain) for plain, fast, _ in pairs]
    assert len(differences) == 2
    assert [float(difference) for *_, difference in pairs] == pytest.approx(differences, abs=2e-3)
    assert float(re.search(r"epochs: (\S+) nats", first)[1]) == pytest.approx(fmean(differences), abs=2e-3)

    trained = {path: path.stat().st_mtime_ns for path in (tmp_path / "quick").rglob("*.pt")}
    assert trained
    paired.main(tmp_path, quick=True)
    assert capsys.readouterr().out == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "quick").rglob("*.pt")} == trained
