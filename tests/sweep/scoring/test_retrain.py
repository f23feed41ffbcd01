from dataclasses import replace

import pytest
from pydantic import ValidationError

from iafsweep.config.sweep import SweepConfig
from iafsweep.errors import SweepError
from iafsweep.leaderboard import leaderboard_table
from iafsweep.records import Figure, LeaderboardRow, Retrained
from iafsweep.results.leaderboard_rows import scored_rows
from iafsweep.search_space.files import dump_space, read_stored_space
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.scoring.retrain import parameters_key, retrain_folder, retrain_space, retrained_figures
from iafsweep.sweep.storage.events import Finished, Proposed
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.storage.state import replay
from iafsweep.sweep.storage.stored_sweep import StoredSweep, open_ledger, read_sweep
from iafsweep.training import RunFolder
from tests.finished import figures
from tests.sweep.storage.test_ledger import HEADER
from tests.sweep.tiny import DEPTH, RATE, tiny_space


@pytest.fixture
def folder(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()
    with open_ledger(tiny_space(), folder) as ledger:
        for number, bound in enumerate((93.0, 91.0, 92.0), start=1):
            name, values = f"t000{number}", {DEPTH: 0, RATE: 1e-3 * (number + 1)}
            ledger.append(Proposed(trial=name, number=number, parameters=values, seed=0, key=name, time="t"))
            end = Finished(
                trial=name, status="completed", epochs=4, best_value=bound, seconds=1.0, gpu_seconds=0.0, time="t"
            )
            ledger.append(end)
    return folder


def proposals(space):
    rows = []
    while (found := make_proposer(space).propose(replay(HEADER, rows))) is not None:
        number = len(rows) + 1
        rows.append(
            Proposed(
                trial=f"t{number:04d}",
                number=number,
                parameters=found.values,
                seed=found.config.training.seed,
                key=found.key,
                repeat=found.repeat,
                time="t",
            )
        )
    return rows


def test_the_best_are_trained_with_seeds_of_their_own(folder):
    space = retrain_space(StoredSweep(folder, tiny_space(), read_ledger(folder.ledger)), 2, 3, all_images=False)
    rows = proposals(space)
    assert len(rows) == space.sweep.trials == 6
    assert [row.parameters[RATE] for row in rows] == [3e-3, 4e-3] * 3  # the best and the second
    assert len({row.seed for row in rows}) == 6
    assert [row.repeat for row in rows] == [1, 1, 2, 2, 3, 3]


def test_all_images_leave_none_for_validation_and_the_space_can_be_stored(folder, tmp_path):
    fixed = replace(tiny_space(), fixed_paths=("data.validation_images",))
    space = retrain_space(StoredSweep(folder, fixed, read_ledger(folder.ledger)), 1, 2, all_images=True)
    assert space.base.data.held_out == 0
    assert space.base.evaluation.checkpoint == "last"
    stored = tmp_path / "sweep.toml"
    stored.write_text(dump_space(space))
    assert read_stored_space(stored) == space
    names = {retrain_folder(folder, 1, 2, all_images=all_images).path.name for all_images in (True, False)}
    assert names == {"top1-seeds2", "top1-seeds2-all"}


def test_nothing_to_train_again_is_said(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()
    open_ledger(tiny_space(), folder).close()
    with pytest.raises(SweepError, match="no trial of .* has completed"):
        retrain_space(StoredSweep(folder, tiny_space(), read_ledger(folder.ledger)), 1, 2, all_images=False)


def test_repeats_are_for_lists():
    with pytest.raises(ValidationError, match="needs sampler = 'listed'"):
        SweepConfig(repeats=2)


def test_mean_and_spread_are_over_seeds_of_one_configuration():
    def row(trial, depth, nll, status="completed", images=50, samples=10):
        return LeaderboardRow(
            trial=trial,
            status=status,
            parameters={DEPTH: depth},
            nll_importance_sampling=None
            if nll is None
            else Figure(value=nll, images=images, samples=samples, settings=f"{samples} samples"),
        )

    first = [row("t1", 0, 90.0), row("t2", 0, 92.0), row("t3", 0, None, "failed"), row("t4", 1, 80.0)]
    found = retrained_figures([first])
    same = found[parameters_key(row("x", 0, None))]
    assert same == Retrained(
        seeds=2,
        nll_importance_sampling=Figure(value=91.0, error=2**0.5, seeds=2, images=50, samples=10, settings="10 samples"),
    )
    single = found[parameters_key(row("x", 1, None))]
    assert (single.seeds, single.nll_importance_sampling.error) == (1, None)
    later = retrained_figures([first, [row("t1", 1, 70.0)]])
    assert later[parameters_key(row("x", 1, None))].nll_importance_sampling.value == 70.0

    # Seeds that were not scored, or not like the others, are in no mean; a retraining without a figure replaces none.
    mixed = [row("t1", 0, 90.0), row("t2", 0, 92.0), row("t3", 0, None), row("t4", 0, 99.0, images=5)]
    mixed.append(row("t5", 0, 80.0, samples=5000))
    found = retrained_figures([mixed, [row("t1", 0, None)]])[parameters_key(row("x", 0, None))]
    assert found.seeds == 4
    sampled = found.nll_importance_sampling
    assert (sampled.value, sampled.seeds, sampled.images) == (91.0, 2, 50)


def test_the_last_retraining_is_the_one_that_began_last(folder):
    """Not the one whose files were touched last: a copy of the folder, and a resumed retraining, tell the same."""
    expected = {"top1-seeds3": ("2026-01-01T00:00:00+00:00", 90.0), "top1-seeds2": ("2026-01-02T00:00:00+00:00", 80.0)}
    for name in ("top1-seeds2", "top1-seeds3"):  # the one that began last is written first
        created, nll = expected[name]
        into = SweepFolder(folder.path / "retrain" / name)
        into.create()
        rows = folder.ledger.read_text().splitlines(keepends=True)
        header = read_sweep(folder).state.header.model_copy(update={"created": created})
        into.space.write_text(folder.space.read_text())
        into.ledger.write_text("".join([header.model_dump_json() + "\n", *rows[1:]]))
        RunFolder(into.trial("t0001")).path.mkdir()
        found = figures(epoch=4)
        estimates = [each.model_copy(update={"nll": nll, "images": 7}) for each in found.estimates]
        RunFolder(into.trial("t0001")).write_evaluation(found.model_copy(update={"estimates": tuple(estimates)}))
    RunFolder(folder.trial("t0001")).path.mkdir()
    RunFolder(folder.trial("t0001")).write_evaluation(figures(epoch=4))
    row = scored_rows(read_sweep(folder)).rows[0]
    assert row.retrained.nll_importance_sampling.value == 80.0
    # The column says on how many images the retrained figures rest, not those of the sweep's own trial.
    header = leaderboard_table([row]).header
    assert "retrained test NLL, IS (7 images)" in header
    assert row.retrained.nll_importance_sampling.samples == 1000
    assert "test NLL, IS (100 images)" in header
