"""Later versions, with fields added at every level, other defaults, fields removed: folders read, or are refused."""

import json
import shutil

import pytest

from iafsweep import load_run
from iafsweep.config.data import DataConfig
from iafsweep.config.model import EncoderConfig, FlowConfig, MadeConfig, ModelConfig
from iafsweep.config.sweep import SweepConfig
from iafsweep.config.training import TrainingConfig
from iafsweep.errors import UserError
from iafsweep.records import EpochMetrics, Estimate, Evaluation, RunState
from iafsweep.sweep.storage.events import Began, Exchange, Finished, Header, Proposed, Rung, Started
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.storage.stored_sweep import read_sweep
from iafsweep.version import FORMAT, VERSION
from tests.compatibility import folders
from tests.compatibility.later import LATER, LEVELS, ROOT, LaterPackage
from tests.compatibility.probe import probe_all
from tests.compatibility.test_reading import contains

NEWEST = folders.VERSIONS[-1]
BEFORE = "from typing import Annotated\nfrom iafsweep.config.meaning import Before"
OTHER_DEFAULTS = [
    (MadeConfig, "width", "77"),
    (ModelConfig, "latent_size", "3"),
    (FlowConfig, "context_size", "77"),  # unset in files: a default that they do not say
    (DataConfig, "validation_images", "500"),
    (TrainingConfig, "kl_warmup_epochs", "1"),
    (SweepConfig, "trials", "99"),
    (SweepConfig, "top", "7"),
    (SweepConfig, "free_disk", "2.5"),
    (SweepConfig, "gpu_hours", "50.0"),
    (SweepConfig, "grace_epochs", "9"),
]

OTHER_PROCEDURE = "startup_share=2, startup_fewest=1, startup_most=2, duplicates=3, grid_digits=2, generations=2"
RECORDS = (RunState, EpochMetrics, Evaluation, Estimate, Header, Proposed, Started, Rung, Finished, Began, Exchange)


@pytest.fixture
def kept(tmp_path):
    for name in (*folders.SWEEPS, *folders.RUNS):
        folders.unpack(NEWEST, name, tmp_path / "kept")
    return tmp_path / "kept"


def test_fields_added_at_every_level_and_other_defaults_change_nothing(kept, tmp_path):
    """The same figures, keys, seeds, next trials; added fields have their old meaning, which one of two states."""
    package = LaterPackage(tmp_path / "later")
    for level in LEVELS:
        package.add(level, "added_plainly: int = 4")
        package.add(level, "added_otherwise: Annotated[int | None, Before(1)] = None", BEFORE)
    package.add(EncoderConfig, "transformer: MlpConfig = MlpConfig()")
    for record in RECORDS:
        package.add(record, "added_plainly: int = 4")
    for section, name, default in OTHER_DEFAULTS:
        package.change_default(section, name, default)
    package.replace(
        "config/sweep.py",
        'NEW_SWEEPS = Procedure(grid_digits=None, startup="sobol")',
        f"NEW_SWEEPS = Procedure({OTHER_PROCEDURE})",
    )
    copy = shutil.copytree(kept, tmp_path / "copy")
    done = package.run("-m", "tests.compatibility.probe", copy)
    assert done.returncode == 0, done.stderr[-3000:]
    later = json.loads(done.stdout.splitlines()[-1])
    contains(later, probe_all(kept))
    config = later["config"]
    for table in (config, config["data"], config["model"]["flow"]["made"], config["evaluation"]["hais"]):
        assert (table["added_plainly"], table["added_otherwise"]) == (4, 1)


def test_what_a_later_version_writes_keeps_what_its_fields_say(kept, tmp_path):
    """A field that is unset where its old meaning is a value is still unset when it is read again."""
    package = LaterPackage(tmp_path / "later")
    package.add(TrainingConfig, "added: Annotated[int | None, Before(1)] = None", BEFORE)
    code = (
        "from pathlib import Path; from iafsweep.config import RunConfig, dump_config\n"
        "from iafsweep.config.files import read_stored_config\n"
        "from iafsweep.search_space.candidate import configuration_key\n"
        "old = RunConfig.model_validate({'training': {'added': 1}})\n"
        "for config in (RunConfig(), old, RunConfig.model_validate({'training': {'added': 2}})):\n"
        "    Path('c.toml').write_text(dump_config(config)); assert read_stored_config(Path('c.toml')) == config\n"
        "    print(configuration_key(config))\n"
    )
    done = package.run("-c", code)
    assert done.returncode == 0, done.stderr
    unset, as_before, other = done.stdout.split()
    assert as_before == "8c9b45c20d61bc8d"  # as in tests/search_space/test_fingerprint.py, where there is no such field
    assert len({unset, as_before, other}) == 3


@pytest.mark.parametrize(
    ("section", "field", "named"),
    [
        (MadeConfig, "hidden_layers", "`model.flow.made.hidden_layers`"),
        (TrainingConfig, "precision", "`training.precision`"),
        (SweepConfig, "free_disk", "`free_disk`"),
    ],
)
def test_a_removed_field_is_refused_by_the_version_that_wrote_it(kept, tmp_path, section, field, named):
    package = LaterPackage(tmp_path / "later")
    package.remove(section, field)
    done = package.command("status", kept / "finished")
    assert done.returncode == 2, done.stderr
    said = " ".join(done.stderr.split())
    assert f"was written by iafsweep {NEWEST} and has {named}" in said
    assert f"this version ({LATER}) does not know; use iafsweep {NEWEST}" in said


def newer(path):
    """Make a stored file one of a later version, in a format that this one does not know."""
    text = path.read_text()
    path.write_text(f'format = {FORMAT + 1}\nwritten_by = "{LATER}"\n{text}')


def test_files_of_a_newer_format_are_refused_by_the_version_that_wrote_them(kept):
    run = kept / "run"
    newer(run / "config.toml")
    with pytest.raises(UserError, match=rf"config.toml was written by iafsweep {LATER} in format {FORMAT + 1}.*use"):
        load_run(run, "cpu")
    folder = SweepFolder(kept / "finished")
    newer(folder.space)
    with pytest.raises(UserError, match=rf"sweep.toml.* was written by iafsweep {LATER} in format {FORMAT + 1}"):
        read_sweep(folder)
    state = kept / "model" / "evaluation.json"
    state.write_text(json.dumps({"format": FORMAT + 1, "written_by": LATER} | json.loads(state.read_text())))
    assert f"written by iafsweep {LATER}" in load_run(kept / "model", "cpu").problems[0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"row": "began", "at_a_time": 1, "time": "t", "format": FORMAT + 1, "written_by": LATER, "new": 1}, LATER),
        ({"row": "pruned", "trial": "t0001"}, NEWEST),
        ({"row": "started", "trial": "t0001", "time": "t", "host": "x"}, NEWEST),
    ],
)
def test_rows_of_a_later_version_are_refused_and_not_taken_for_damage(kept, row, said):
    path = SweepFolder(kept / "killed").ledger
    whole = read_ledger(path)
    with path.open("a") as file:
        file.write('{"row":"rung","tri\n')  # damage is left out and named, as ever
    assert len(read_ledger(path).problems) == 1
    assert read_ledger(path).trials == whole.trials
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=f"written by iafsweep {said}.*use iafsweep {said}"):
        read_ledger(path)


def test_a_header_of_a_later_version_is_refused_by_its_name(kept):
    path = SweepFolder(kept / "killed").ledger
    first, rest = path.read_text().split("\n", 1)
    path.write_text(json.dumps(json.loads(first) | {"ledger": 99, "written_by": LATER}) + "\n" + rest)
    with pytest.raises(UserError, match=f"a ledger of version 99 written by iafsweep {LATER}.*use iafsweep {LATER}"):
        read_ledger(path)


def test_an_unknown_kind_says_who_wrote_it(kept):
    config = kept / "run" / "config.toml"
    config.write_text(config.read_text().replace('kind = "mlp"', 'kind = "transformer"', 1))
    with pytest.raises(UserError, match=rf"kind: must be .*transformer.*\(written by iafsweep {NEWEST}, this is"):
        load_run(kept / "run", "cpu")


def test_the_folders_are_of_every_format_that_there_was():
    """Whoever raises the format adds the folders of the version before, by the script, and they stay."""
    assert len(folders.VERSIONS) >= FORMAT - 1
    assert (ROOT / "CHANGELOG.md").read_text().count(f"## {VERSION}") == 1
