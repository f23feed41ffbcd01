"""The NLL of all images from figures of few: its level, its error, its paired differences."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.nll import Figures
from iafsweep.run_files.run_folder import RunFolder


def figures(tmp_path, bound, sampled, annealed):
    """Of a run whose first images were scored by IS, and the first of these by HAIS."""
    folder = RunFolder(tmp_path)
    parts = (("negative_elbo", bound), ("importance_sampling", sampled), ("hais", annealed))
    columns = ("method", "split", "binarisation_seed", "image", "log_likelihood")
    rows = [(method, "test", 0, image, each) for method, values in parts for image, each in enumerate(values)]
    rows += [(method, "validation", 0, image, 0.0) for method, values in parts for image in range(len(values))]
    pd.DataFrame(rows, columns=columns).to_parquet(folder.per_image)
    return Figures.of(folder)


def test_the_nll_is_that_of_all_images_though_few_easy_ones_were_scored(tmp_path):
    generator = np.random.default_rng(0)
    bound = np.sort(generator.normal(-86.0, 20.0, 4000))[::-1]  # the easy images are first, as in MNIST
    exact = bound + generator.normal(4.0, 1.0, 4000)
    sampled = exact[:400] - generator.exponential(0.3, 400)
    nll, error = figures(tmp_path, bound, sampled, exact[:100]).nll()
    assert abs(nll + exact.mean()) < 4 * np.hypot(1.0 / np.sqrt(400), 0.3 / np.sqrt(100))
    assert -sampled.mean() < nll - 20  # where the images that were scored alone are far off
    assert error == pytest.approx(np.sqrt(20.0**2 / 4000 + 1.0 / 400 + 0.09 / 100), rel=0.1)


def test_a_paired_difference_does_not_know_how_images_differ(tmp_path):
    generator = np.random.default_rng(1)
    bound = generator.normal(-86.0, 20.0, 1000)
    one = figures(tmp_path, bound, bound[:50] + 3.0, bound[:20] + 3.5)
    other = figures(tmp_path, bound - 2.0, bound[:50], bound[:20] + 0.5)
    nll, error = (one - other).nll()
    assert nll == pytest.approx(-3.0)  # bound 2.0 lower, the gap to HAIS 3.5 where the other's is 2.5
    assert error == pytest.approx(0.0, abs=1e-9)
