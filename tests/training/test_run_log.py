"""What TensorBoard reads back from a run."""

from io import BytesIO

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from torch.utils.tensorboard import SummaryWriter
from torchvision.utils import make_grid

from iafsweep.records import EpochMetrics, Estimate, Evaluation
from iafsweep.training import RunFolder, Trainer
from iafsweep.training.pictures import data_grid
from iafsweep.training.run_log import TAGS, add_test_figures

FIGURE = Estimate(
    method="hais", split="test", images=2, nll=91.5, standard_error=1.0, settings="", samples=4, seed=0,
    binarisation_seeds=(0,), network_evaluations=1, gradient_evaluations=1, seconds=1.0,
)  # fmt: skip


def events(folder):
    return EventAccumulator(str(folder.tensorboard)).Reload()


def run(config, images, path, cpu, epochs):
    trainer = Trainer.start(config, images, RunFolder(path), cpu)
    for _ in range(epochs):
        trainer.run_epoch()
    return trainer


def hparams_of(read, tag):
    return metadata.parse_session_start_info_plugin_data(read.summary_metadata[tag].plugin_data.content)


def test_a_first_epoch_trained_twice_is_shown_once(config, images, tmp_path, cpu):
    recipe = config.model_copy(update={"training": config.training.model_copy(update={"checkpoint_every_epochs": 4})})
    folder = RunFolder(tmp_path / "run")
    run(recipe, images, folder.path, cpu, 2).close()  # killed here: nothing of it is on disk but the start
    again = Trainer.resume(recipe, images, folder, cpu)
    again.run_epoch()
    again.close()
    assert [point.step for point in events(folder).Scalars("loss/train")] == [1]


def test_every_figure_of_an_epoch_has_a_curve():
    assert TAGS.keys() == EpochMetrics.model_fields.keys() - {"epoch"}


def test_a_run_is_a_row_of_the_hparams_tab(config, images, tmp_path, cpu):
    folder = RunFolder(tmp_path / "run")
    trainer = run(config, images, folder.path, cpu, 4)
    trainer.finish()
    add_test_figures(folder.tensorboard, Evaluation(checkpoint="best", epoch=4, parameters=1, device="cpu",
                                                    estimates=(FIGURE,)))  # fmt: skip
    assert all(path.is_file() for path in folder.tensorboard.iterdir())
    read = events(folder)
    columns = hparams_of(read, metadata.SESSION_START_INFO_TAG).hparams
    assert columns["model.latent_size"].number_value == 4
    assert columns["model.encoder.kind"].string_value == "mlp"
    assert columns["model.flow.gated"].string_value == "true"
    assert columns["model.encoder.mlp.hidden_sizes"].string_value == "[16]"
    assert not any(name.startswith("evaluation.") for name in columns)
    assert not any(name.startswith(("model.encoder.resnet.", "model.decoder.gated_conv.")) for name in columns)
    assert "training.epochs" not in columns  # may change on resume, and what was written first stays
    # TensorBoard asks one run for all of them, and marks what differs only where it finds that out by itself.
    assert metadata.EXPERIMENT_TAG not in read.summary_metadata
    assert {"bound/train", "bound/validation", "kl/validation", "schedule/learning_rate"} < set(read.Tags()["scalars"])
    assert metadata.SESSION_END_INFO_TAG in read.summary_metadata
    best = trainer.best.validation_negative_elbo
    assert read.Scalars("final/bound_validation")[-1].value == pytest.approx(best)
    assert read.Scalars("final/nll_test_hais")[-1].value == pytest.approx(91.5)
    text = read.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "latent_size = 4" in text


def test_a_run_stopped_early_has_its_figure_in_the_hparams_tab_too(config, images, tmp_path, cpu):
    folder = RunFolder(tmp_path / "run")
    trainer = run(config, images, folder.path, cpu, 2)
    trainer.finish("interrupted")
    read = events(folder)
    (shown,) = read.Scalars("final/bound_validation")
    assert (shown.step, shown.value) == (2, pytest.approx(trainer.best.validation_negative_elbo))
    assert metadata.SESSION_END_INFO_TAG not in read.summary_metadata  # it may go on
    again = Trainer.resume(config, images, folder, cpu)
    again.run_epoch()
    again.finish()
    read = events(folder)
    assert read.Scalars("final/bound_validation")[-1].step == 3
    assert metadata.SESSION_END_INFO_TAG in read.summary_metadata


def test_the_event_file_is_closed_when_a_figure_cannot_be_written(tmp_path, monkeypatch):
    closed = []

    def full(*arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(SummaryWriter, "add_scalar", full)
    monkeypatch.setattr(SummaryWriter, "close", lambda self: closed.append(self))
    evaluation = Evaluation(checkpoint="best", epoch=4, parameters=1, device="cpu", estimates=(FIGURE,))
    with pytest.raises(OSError, match="No space"):
        add_test_figures(tmp_path, evaluation)
    assert len(closed) == 1


def test_tensorboard_shows_the_pictures_of_the_run_folder(config, images, tmp_path, cpu):
    folder = RunFolder(tmp_path / "run")
    run(config, images, folder.path, cpu, 1).close()
    shown = events(folder)
    assert set(shown.Tags()["images"]) == {"samples", "reconstructions"}
    for name in shown.Tags()["images"]:
        (picture,) = shown.Images(name)
        assert picture.step == 1
        png = (folder.path / f"{name}.png").read_bytes()
        assert picture.encoded_image_string == png
        assert (picture.width, picture.height) == Image.open(BytesIO(png)).size


@pytest.mark.parametrize(("count", "channels"), [(20, 1), (7, 3), (23, 3)])
def test_a_grid_is_that_of_torchvision(count, channels):
    x = torch.rand(count, channels, 5, 4)
    assert torch.equal(data_grid(x), make_grid(x, nrow=10, padding=2, pad_value=0.5)[:channels])
