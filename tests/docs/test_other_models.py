"""The page's Python is run as it stands, and what it claims is checked."""

import re
import warnings
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).parent.parent.parent / "docs" / "other_models.md"
BLOCK = re.compile(r"^```python(?P<needs>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def run_blocks(needs, names):
    for block in BLOCK.finditer(PAGE.read_text()):
        if block["needs"].strip() == needs:
            exec(compile(block["code"], str(PAGE), "exec"), names)
    return names


@pytest.fixture(scope="module")
def page():
    with torch.random.fork_rng():
        return run_blocks("", {})


def test_both_estimators_agree_and_the_sandwich_closes(page):
    sampled, annealed = page["nll_by_sampling"], page["nll_by_annealing"]
    error = page["estimator_error"]
    noise = (error(page["sampled"].standard_error) ** 2 + error(page["annealed"].standard_error) ** 2) ** 0.5
    assert sampled.value == pytest.approx(annealed.value, abs=4 * noise + 0.01)
    assert noise < 0.05
    assert -3 * page["gap"].standard_error < page["gap"].value < 0.3
    assert 0.6 < page["run"].mean_acceptance_rate < 1
    assert page["annealed"].untrusted.double().mean() < 0.5


def test_the_example_is_as_short_as_it_says(page):
    first = next(BLOCK.finditer(PAGE.read_text()))["code"]
    network = first[first.index("class Autoencoder") : first.index("def bars")].strip()
    assert len(network.splitlines()) <= 30


def test_pythae_agrees_with_its_own_estimate(page):
    pytest.importorskip("pythae")
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")  # those of its own dependencies
        names = run_blocks("pythae", dict(page))
        ours = names["ours"].log_likelihood.mean().item()
        assert names["own_estimate"] < 0
        noise = names["estimator_error"](names["ours"].standard_error)
        assert names["own_estimate"] == pytest.approx(ours, abs=6 * noise + 0.01)
        calls = []
        theirs = names["theirs"]
        theirs.decoder.register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
        for asked, used in ((250, 200), (50, 100)):
            calls.clear()
            theirs.get_nll(names["images"][:1], n_samples=asked, batch_size=100)
            assert sum(calls) == used
