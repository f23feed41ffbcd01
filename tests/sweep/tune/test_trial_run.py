"""A trial without Tune: what a step reports, and what ends it."""

import errno
import json
import math
import weakref

import pytest
import torch

from iafsweep.config import RunConfig
from iafsweep.records import METRIC
from iafsweep.search_space.candidate import candidate
from iafsweep.sweep.cluster.device import is_gpu_fault, is_transient
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.trial_report import TrialReport, read_report
from iafsweep.sweep.tune.trial_run import TrialRun, TrialSettings, open_trainer
from iafsweep.training import RunFolder, Trainer
from tests.sweep.tiny import DEPTH, RATE, WIDTH, open_fake, open_faulty, tiny_images, tiny_space

pytestmark = pytest.mark.faults

IMAGES = tiny_images()


@pytest.fixture
def folder(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()
    return folder


def config_of(trial="t0001", depth=0, epochs=3, gpus=0.0, rate=2e-3, every=1):
    config = candidate(tiny_space(epochs), {DEPTH: depth, RATE: 2e-3, **({WIDTH: 8} if depth else {})}).config
    changes = {"learning_rate": rate, "checkpoint_every_epochs": every}
    config = config.model_copy(update={"training": config.training.model_copy(update=changes)})
    return {"trial": trial, "config": config.model_dump_json(), "gpus": gpus}


@pytest.fixture
def make(folder):
    """Makes trials, and closes them in the end."""
    made = []

    def make(opener=open_fake, milestones=(), gpus=0.0, **changes):
        asked = config_of(gpus=gpus, **changes)
        config = RunConfig.model_validate_json(asked["config"])
        trial = TrialRun(asked["trial"], config, gpus, IMAGES, TrialSettings(folder.path, 1, milestones, opener))
        made.append(trial)
        return trial

    yield make
    for trial in made:
        kill(trial)


def kill(trial):
    """Let go of everything without saving, as a kill does."""
    if trial.trainer is not None:
        trial.trainer.close()
    trial.trainer = None
    trial._held.close()


def test_every_report_has_every_field_and_the_last_says_done(make):
    trial = make(epochs=3)
    results = [trial.step().result() for _ in range(3)]
    assert [result["done"] for result in results] == [False, False, True]
    assert [result["status"] for result in results] == ["running", "running", "completed"]
    assert [result["training_iteration"] for result in results] == [1, 2, 3]
    fields = {*TrialReport.model_fields, "training_iteration", "done"}
    assert all(set(result) == fields and METRIC in result for result in results)
    assert read_report(results[-1]).finished("completed").best_epoch == 3


def test_real_trial_gives_the_metrics_of_a_single_run(make, folder, tmp_path):
    trial = make(open_trainer, depth=1)
    trial.step(), trial.step(), trial.step().result()
    single = Trainer.start(trial.config, IMAGES, RunFolder(tmp_path / "single"), torch.device("cpu"))
    for _ in range(3):
        single.run_epoch()
    single.finish()
    assert metrics_of(folder.trial("t0001")) == metrics_of(tmp_path / "single")


def metrics_of(path):
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if name not in ("seconds", "images_per_second")} for line in lines
    ]


def test_new_process_goes_on_from_the_run_folder(make, folder):
    first = make(open_trainer, depth=1)
    first.step(), first.step().result()
    whole = make(open_trainer, trial="t0002", depth=1)
    ends = [whole.step().result() for _ in range(3)]
    kill(first)
    second = make(open_trainer, depth=1).step().result()
    assert second["note"].startswith("continues after epoch 2")
    assert second["done"]
    assert second[METRIC] == ends[-1][METRIC]
    assert metrics_of(folder.trial("t0001")) == metrics_of(folder.trial("t0002"))


def test_run_folder_without_a_checkpoint_starts_afresh_and_says_so(make, folder):
    path = folder.trial("t0001")
    path.mkdir()
    (path / "config.toml").write_text("half of a fi")
    result = make(open_trainer).step().result()
    assert result["epoch"] == 1
    assert result["note"].startswith("was interrupted before its first checkpoint; starts from scratch")


def test_damaged_checkpoint_fails_the_trial_and_names_the_file(make, folder):
    trial = make(open_trainer)
    trial.step().result()
    kill(trial)
    last = folder.trial("t0001") / "last.pt"
    last.write_bytes(last.read_bytes()[:100])
    result = make(open_trainer).step().result()
    assert result["status"] == "failed"
    assert "last.pt" in result["error"]


def test_complete_run_folder_is_reported_without_training(make):
    for _ in range(2):
        trial = make(epochs=1)
        result = trial.step().result()
        assert (result["status"], result["epoch"]) == ("completed", 1)


@pytest.mark.parametrize(
    ("depth", "status", "error"),
    [
        (1, "diverged", "diverged in epoch 2"),
        (2, "failed", "ZeroDivisionError: a bug in the network"),
        (3, "oom", "CUDA"),
    ],
)
def test_ends_that_are_no_success(make, depth, status, error):
    trial = make(open_faulty, depth=depth)
    assert trial.step().result()["status"] == "running"
    result = trial.step().result()
    assert (result["status"], result["done"], result[METRIC]) == (status, True, math.inf)
    assert error in result["error"]
    assert trial.trainer is None


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (None, "completed"),
        (lambda: torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (lambda: ZeroDivisionError("a bug"), "failed"),
        (lambda: OSError(errno.ENOSPC, "no room"), "interrupted"),
    ],
)
def test_nothing_of_a_trial_is_held_when_its_memory_is_given_back(make, monkeypatch, fault, status):
    """A traceback holds the model and its activations; what is frozen while it is held is never collected."""
    of_trial, held = [], []

    def opener(*arguments):
        trainer, note = open_fake(*arguments)
        of_trial.append(weakref.ref(trainer))
        whole = trainer.run_epoch

        def run_epoch(look):
            activations = torch.zeros(3)
            of_trial.append(weakref.ref(activations))
            if fault is not None:
                raise fault()
            return whole()

        trainer.run_epoch = run_epoch
        return trainer, note

    monkeypatch.setattr(
        "iafsweep.sweep.tune.trial_run.give_freed_memory_back",
        lambda: held.extend(each() for each in of_trial if each() is not None),
    )
    assert make(opener, epochs=1).step().result()["status"] == status
    assert len(of_trial) == 2
    assert not held


def test_transient_errors_are_left_to_tune_and_let_go_of_the_folder(make, folder):
    def opener(config, images, path, device):
        raise OSError("stale file handle")

    trial = make(opener)
    with pytest.raises(OSError, match="stale"):
        trial.step().result()
    with folder.trial_lock("t0001"):
        pass


class FaultyStep:
    """A step that fails, once, behind its work."""

    def __init__(self, step, fails_at):
        self._step, self._left = step, fails_at

    def __getattr__(self, name):
        return getattr(self._step, name)

    def __call__(self, batch, weight):
        means = self._step(batch, weight)
        self._left -= 1
        if self._left == 0:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return means


def test_a_fault_in_mid_epoch_leaves_the_last_whole_epoch_and_the_next_process_alone(make, folder):
    """What is half trained is not saved, neither before the run folder is given away nor when the process ends."""

    def faulty(*arguments):
        trainer, note = open_trainer(*arguments)
        trainer._step = FaultyStep(trainer._step, 7 + 4)
        return trainer, note

    whole = make(open_trainer, trial="t0002", every=3)
    ends = [whole.step().result() for _ in range(3)]
    first = make(faulty, every=3)
    first.step().result()
    with pytest.raises(RuntimeError, match="CUDA error"):
        first.step().result()
    state = RunFolder(folder.trial("t0001")).read_state()
    assert (state.status, state.epochs) == ("interrupted", 1)
    second = make(open_trainer, every=3)
    again = [second.step().result() for _ in range(2)]
    saved = (folder.trial("t0001") / "last.pt").read_bytes()
    first.close()  # Tune ends the old process when it likes
    assert (folder.trial("t0001") / "last.pt").read_bytes() == saved
    assert again[0]["note"].startswith("continues after epoch 1")
    assert again[-1][METRIC] == ends[-1][METRIC]
    assert metrics_of(folder.trial("t0001")) == metrics_of(folder.trial("t0002"))


@pytest.mark.parametrize(
    ("request_of", "status"),
    [(lambda folder: folder.end_trials, "interrupted"), (lambda folder: folder.trial_stop_request("t0001"), "stopped")],
)
def test_told_to_end_it_ends_after_the_current_step_and_goes_on_from_there(
    make, folder, monkeypatch, request_of, status
):
    monkeypatch.setattr("iafsweep.sweep.tune.trial_run._LOOK_SECONDS", 0.0)
    whole = make(open_trainer, trial="t0002")
    ends = [whole.step().result() for _ in range(3)]

    def opener(*arguments):
        trainer, note = open_trainer(*arguments)
        step, count = trainer.run_epoch, []

        def run_epoch(look):
            def batch_done(images):
                count.append(images)
                if len(count) == 7 + 3:
                    request_of(folder).touch()
                look(images)

            return step(batch_done)

        trainer.run_epoch = run_epoch
        return trainer, note

    trial = make(opener)
    first, told = trial.step().result(), trial.step().result()
    assert (told["status"], told["done"], told["epoch"], told["error"]) == (status, True, 1, "")
    assert told[METRIC] == (first[METRIC] if status == "stopped" else math.inf)
    assert trial.trainer is None
    assert RunFolder(folder.trial("t0001")).read_state().status == "interrupted"
    request_of(folder).unlink()
    again = make(open_trainer)
    results = [again.step().result() for _ in range(2)]
    assert results[0]["note"].startswith("continues after epoch 1 plus 3 of 7 batches of the next")
    assert results[-1][METRIC] == ends[-1][METRIC]
    assert metrics_of(folder.trial("t0001")) == metrics_of(folder.trial("t0002"))


def test_a_fault_that_comes_back_while_saving_is_the_first_one(make, folder):
    def opener(config, images, path, device):
        trainer, note = open_fake(config, images, path, device)

        def fails(*look):
            raise RuntimeError("CUDA error: unspecified launch failure")

        trainer.run_epoch = trainer.interrupt = fails
        return trainer, note

    with pytest.raises(RuntimeError, match="CUDA error"):
        make(opener).step().result()
    with folder.trial_lock("t0001"):
        pass


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (OSError("disk"), True),
        (RuntimeError("CUDA error: unspecified launch failure"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ZeroDivisionError(), False),
    ],
)
def test_only_files_and_cuda_faults_are_tried_again(error, transient):
    assert is_transient(error) == transient


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be reported at some other call"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
def test_lack_of_memory_is_no_fault_of_the_gpu_in_whatever_words(make, error):
    """Else it is tried three times more, ends as failed, and `retry --status oom` does not find it."""

    def opener(*arguments):
        raise error

    assert not is_transient(error)
    assert not is_gpu_fault(error)
    result = make(opener).step().result()
    assert (result["status"], result["done"]) == ("oom", True)
    assert result["error"] == (str(error).partition("\n")[0] or "MemoryError()")


def test_trial_saves_before_it_reports_a_rung(make):
    trial = make(milestones=(2,))
    trial.step().result()
    calls = trial.trainer.calls
    calls.clear()
    trial.step().result()
    assert calls == ["save", "save"]  # the fake's own, and the rung's


def test_trial_killed_at_a_rung_reports_the_rung_again_before_it_trains_on(make, folder):
    """Else whoever is killed between the rung's checkpoint and the scheduler's answer would never be stopped there."""
    first = make(open_trainer, epochs=4, milestones=(2,))
    reports = [first.step().result(), first.step().result()]
    kill(first)
    second = make(open_trainer, epochs=4, milestones=(2,))
    again = second.step().result()
    assert (again["status"], again["epoch"], again[METRIC]) == ("running", 2, reports[-1][METRIC])
    assert len(metrics_of(folder.trial("t0001"))) == 2
    assert second.step().result()["epoch"] == 3


def test_value_of_a_trial_killed_at_its_end_is_its_last_epochs(make, folder):
    """Not its best epoch's, which is what the checkpoint tells."""
    ends = []
    for _ in range(2):
        trial = make(open_trainer, epochs=3, rate=5.0)
        while not (end := trial.step().result())["done"]:
            pass
        ends.append((end[METRIC], end["best_value"], end["best_epoch"]))
        kill(trial)
    assert ends[0] == ends[1]
    assert ends[0][0] != ends[0][1]


def test_trial_given_a_gpu_that_is_not_there_fails_with_the_reason(make, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = make(gpus=1.0).step().result()
    assert result["status"] == "failed"
    assert "was given a GPU but sees none" in result["error"]


def test_memory_that_is_not_given_back_asks_for_a_new_process(make, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 10**9)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    with pytest.raises(RuntimeError, match="still holds 954 MiB of GPU memory"):
        make(gpus=1.0).step().result()
