"""A sweep trained on one's own images is neither gone on with nor scored on others; before any work."""

import pytest

from iafsweep.data.fingerprint import fingerprint
from iafsweep.errors import DataError
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.cluster.resources import Node
from iafsweep.sweep.scoring.rerun import plan_finalist
from iafsweep.sweep.tune.driver import launch_sweep
from iafsweep.sweep.tune.options import LaunchOptions
from tests.finished import SPACE, blobs, finish_sweep


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of trials that say that they were trained on mnist_mini."""
    return finish_sweep(tmp_path_factory.mktemp("sweeps") / "own")


def test_a_launch_with_other_images_trains_nothing(folder):
    before = folder.ledger.read_bytes()
    options = LaunchOptions(node=Node("this machine", 2, 0))
    with pytest.raises(DataError, match=r"t0001 was trained on different images: on 9,000 .* found 360 images"):
        launch_sweep(SPACE, folder, blobs(), options, SweepCallback())
    assert folder.ledger.read_bytes() == before


def test_a_rerun_on_other_images_scores_nothing(folder):
    run = RunFolder(folder.trial("t0001"))
    own, other = run.read_fingerprints(), blobs()
    images = own | {"test": fingerprint(other.validation)}
    found = plan_finalist("t0001", folder, SPACE.base.evaluation, images)
    assert found.images.count == max(job.images for job in found.jobs if hasattr(job, "split"))
    with pytest.raises(DataError, match="t0001 was trained on different images"):
        plan_finalist("t0001", folder, SPACE.base.evaluation, other.fingerprints | images | other.fingerprints)
    run.tested_on(images["test"])
    run.tested_on(own["train"])  # what it was first scored on stays
    with pytest.raises(DataError, match="t0001 was tested on different images"):
        plan_finalist("t0001", folder, SPACE.base.evaluation, own | {"test": own["validation"]})
    plan_finalist("t0001", folder, SPACE.base.evaluation, images)
