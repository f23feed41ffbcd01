"""The benchmark of the autoregressive head in miniature: made once, and what its page says."""

import re

import pandas as pd
import pytest
import torch

from benchmarks import pixelcnn, recipes
from iafsweep.training import Trainer


@pytest.mark.slow
def test_both_models_are_made_once_and_paired_on_the_same_images(tmp_path, monkeypatch, capsys):
    threads = torch.get_num_threads()
    settings = {"layers": 1, "maps": 2, "kernel": 3, "quick": True}
    (tmp_path / "head-1x2x3.pace").write_text("1.0")  # so many epochs, whatever the machine
    pixelcnn.main(tmp_path, **settings)
    page = (tmp_path / "head-1x2x3.md").read_text()
    assert re.search(r"^\| independent pixels \| 2 \| .*KL .*% of the bound", page, re.M)
    assert re.search(r"^\| autoregressive decoder \| 2 \| .*KL .*% of the bound", page, re.M)
    one, other = (pd.read_parquet(tmp_path / name / "per_image.parquet") for name in ("head-1x2x3", "plain"))
    found = re.search(r"^- NLL, IS \(20 samples, 20 images\): (\S+) ± ", page, re.M)
    means = [-each[each.method == "importance_sampling"].log_likelihood.mean() for each in (one, other)]
    assert float(found[1]) == pytest.approx(means[0] - means[1], abs=6e-4)

    monkeypatch.setattr(Trainer, "run_epoch", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(recipes, "score_run", lambda *_, **__: pytest.fail("scored again"))
    pixelcnn.main(tmp_path, **settings)
    assert (tmp_path / "head-1x2x3.md").read_text() == page
    torch.set_num_threads(threads)
