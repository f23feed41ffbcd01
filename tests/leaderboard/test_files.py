"""The leaderboard as table, Markdown and CSV."""

import csv
import math
import random

import pandas as pd
import pytest

from iafsweep.leaderboard import leaderboard_frame, leaderboard_table, markdown_table, write_csv, write_markdown
from iafsweep.records import Figure, Latents, LeaderboardRow, Retrained, TextTable, TrainingFacts

PARAMETERS = (
    "model.flow.depth",
    "model.flow.made.width",
    "training.learning_rate",
    "model.encoder.kind",
    "model.flow.gated",
)
BEST = LeaderboardRow(
    trial="t0002",
    status="completed",
    parameters={
        "model.flow.depth": 2,
        "model.flow.made.width": 64,
        "training.learning_rate": 1.23456789e-3,
        "model.encoder.kind": "mlp",
        "model.flow.gated": True,
    },
    epochs=10,
    best_epoch=9,
    validation_negative_elbo=101.23456789,
    validation_images=1000,
    test_negative_elbo=Figure(value=102.5, images=1000),
    nll_importance_sampling=Figure(value=98.5, error=0.75, images=1000, samples=1000, untrusted=0.25),
    nll_hais=Figure(value=97.25, error=2.5, images=100, settings="prior, 100 x 5 x 8"),
    nll_importance_sampling_on_hais_images=Figure(value=97.5, error=2.25, images=100),
    training=TrainingFacts(seconds=61.4, parameters=1234567),
    gpu_seconds=0.0,
    seed=7,
    checkpoint="trials/t0002/best.pt",
)
ROWS = [
    LeaderboardRow(
        trial="t0001",
        status="completed",
        parameters={
            "model.flow.depth": 0,
            "training.learning_rate": 1e-3,
            "model.encoder.kind": "resnet",
            "model.flow.gated": False,
        },
        epochs=10,
        validation_negative_elbo=105.0,
        validation_images=1000,
        test_negative_elbo=Figure(value=106.0, images=1000),
        nll_importance_sampling=Figure(value=101.0, error=0.5, images=1000, samples=1000),
        nll_hais=Figure(value=100.0, error=1.0, images=50, settings="prior, 100 x 5 x 8"),
    ),
    BEST,
    LeaderboardRow(
        trial="t0003", status="diverged", validation_negative_elbo=math.nan, epochs=3, error="not finite\nline 2"
    ),
    LeaderboardRow(trial="t0004", status="failed", error='=HYPERLINK("http://x")', checkpoint="@x"),
]

COLUMNS = """
    rank trial status epochs best_epoch validation_negative_elbo validation_images test_negative_elbo
    test_negative_elbo_error test_negative_elbo_images nll_importance_sampling nll_importance_sampling_error
    nll_importance_sampling_images nll_importance_sampling_samples nll_importance_sampling_estimator_error
    nll_importance_sampling_untrusted nll_hais nll_hais_error nll_hais_images nll_hais_estimator_error
    nll_hais_settings nll_hais_untrusted nll_importance_sampling_on_hais_images
    nll_importance_sampling_on_hais_images_error retrained_seeds retrained_test_negative_elbo
    retrained_test_negative_elbo_spread retrained_test_negative_elbo_seeds retrained_test_negative_elbo_images
    retrained_nll_importance_sampling retrained_nll_importance_sampling_spread
    retrained_nll_importance_sampling_seeds retrained_nll_importance_sampling_images
    retrained_nll_importance_sampling_samples retrained_nll_hais retrained_nll_hais_spread
    retrained_nll_hais_seeds retrained_nll_hais_images retrained_nll_hais_settings hais_gap hais_gap_error
    hais_gap_images hais_gap_settings parameters seconds_per_epoch precision compiled compile_seconds pareto
    seconds gpu_seconds seed checkpoint error validation_bits_per_dim test_negative_elbo_bits_per_dim
    nll_importance_sampling_bits_per_dim nll_hais_bits_per_dim retrained_test_negative_elbo_bits_per_dim
    retrained_nll_importance_sampling_bits_per_dim retrained_nll_hais_bits_per_dim autoregressive_decoder kl
    latent_share active_units expected_negative_elbo best_probability retrained_validation_negative_elbo
    retrained_validation_negative_elbo_spread retrained_validation_negative_elbo_seeds
""".split()
"""Those of ``leaderboard.csv`` that no searched parameter has; users' scripts rely on them."""


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv_holds_every_trial_and_figure(tmp_path):
    write_csv(ROWS, tmp_path / "leaderboard.csv", PARAMETERS)
    rows = read(tmp_path / "leaderboard.csv")
    assert [found["trial"] for found in rows] == ["t0002", "t0001", "t0003", "t0004"]
    assert [found["rank"] for found in rows] == ["1", "2", "", ""]
    assert list(rows[0])[:8] == ["rank", "trial", "status", *PARAMETERS]
    assert set(rows[0]) == set(COLUMNS) | set(PARAMETERS)
    assert list(rows[0])[8:] == COLUMNS[3:]
    best = rows[0]
    assert best["validation_negative_elbo"] == "101.23456789"
    assert best["training.learning_rate"] == "0.00123456789"
    assert (best["model.flow.depth"], best["model.flow.made.width"], best["model.flow.gated"]) == ("2", "64", "true")
    assert (best["parameters"], best["seed"], best["nll_hais_settings"]) == ("1234567", "7", "prior, 100 x 5 x 8")
    assert (best["nll_hais_images"], best["nll_importance_sampling_images"]) == ("100", "1000")
    assert best["checkpoint"] == "trials/t0002/best.pt"


def test_bits_per_dimension_stand_beside_nats_of_images_that_are_not_bits(tmp_path):
    figure = Figure(value=6543.21, error=1.0, images=10, dimensions=3072)
    row = LeaderboardRow(
        trial="t0001", status="completed", validation_negative_elbo=6600.0, nll_hais=figure, dimensions=3072
    )
    write_csv([row], tmp_path / "leaderboard.csv")
    (found,) = read(tmp_path / "leaderboard.csv")
    assert float(found["nll_hais_bits_per_dim"]) == 6543.21 / (3072 * math.log(2))
    assert float(found["validation_bits_per_dim"]) == 6600 / (3072 * math.log(2))
    assert found["nll_importance_sampling_bits_per_dim"] == ""
    table = leaderboard_table([row])
    assert {"6600.00 (3.100 bits/dim)", "6543.21 ± 1.00 (3.073 bits/dim)"} <= set(table.texts[0])


def test_an_autoregressive_decoder_stands_beside_its_figures_and_what_its_latent_variables_carry(tmp_path):
    latents = Latents(kl=4.0, bound=80.0, active_units=3)
    figure = Figure(value=79.0, error=0.5, images=10, autoregressive=True)
    row = LeaderboardRow(
        trial="t0001", status="completed", validation_negative_elbo=80.0, nll_hais=figure,
        retrained=Retrained(seeds=2, nll_hais=figure), hais_gap=figure, autoregressive=True, latents=latents,
    )  # fmt: skip
    other = LeaderboardRow(trial="t0002", status="completed", validation_negative_elbo=90.0)
    table = leaderboard_table([row, other])
    first, second = (dict(zip(table.header, cells, strict=True)) for cells in table.texts)
    figures = [cell for title, cell in first.items() if "NLL" in title or "ELBO" in title or "gap" in title]
    assert len(figures) == 4
    assert all("autoregressive decoder" in cell for cell in figures)
    assert not any("autoregressive decoder" in cell for cell in second.values())
    assert first["latent variables"] == "KL 4.00 nats, 5% of the bound, 3 active units"
    assert any(note.startswith("Autoregressive decoder") for note in table.notes)
    assert "latent variables" not in leaderboard_table([other]).header
    write_csv([row, other], tmp_path / "leaderboard.csv")
    found, plain = read(tmp_path / "leaderboard.csv")
    told = [found[name] for name in ("autoregressive_decoder", "kl", "latent_share", "active_units")]
    assert told == ["true", "4.0", "0.05", "3"]
    assert (plain["autoregressive_decoder"], plain["kl"]) == ("false", "")


def test_csv_tells_missing_from_not_finite(tmp_path):
    write_csv(ROWS, tmp_path / "leaderboard.csv", PARAMETERS)
    found = {each["trial"]: each for each in read(tmp_path / "leaderboard.csv")}
    assert found["t0003"]["validation_negative_elbo"] == "NaN"
    assert found["t0004"]["validation_negative_elbo"] == ""
    assert found["t0001"]["model.flow.made.width"] == ""  # inactive


def test_csv_holds_no_formulas_and_one_line_a_trial(tmp_path):
    path = tmp_path / "leaderboard.csv"
    hostile = [
        LeaderboardRow(
            trial=f"{mark}1", status="failed", error=f"{mark}cmd|' /C calc'!A0", parameters={f"{mark}p": f"{mark}v"}
        )
        for mark in ("=", "+", "-", "@", "\t=", "\r=", "\n=", " =")
    ]
    write_csv([*hostile, *ROWS], path)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1 + len(hostile) + len(ROWS)
    for found in read(path):
        for name, cell in found.items():
            for text in (name, cell):
                assert not text.startswith(("=", "+", "-", "@", "\t", "\r")), text
    numbers = {each["trial"]: each["error"] for each in read(path)}
    assert numbers["t0004"] == '\'=HYPERLINK("http://x")'
    assert numbers["t0003"] == "not finite line 2"


def test_negative_numbers_are_no_formulas(tmp_path):
    write_csv(
        [LeaderboardRow(trial="t1", status="completed", parameters={"offset": -1.0}, hais_gap=Figure(value=-0.5))],
        tmp_path / "l.csv",
    )
    assert (read(tmp_path / "l.csv")[0]["offset"], read(tmp_path / "l.csv")[0]["hais_gap"]) == ("-1.0", "-0.5")


def test_csv_reads_back_with_pandas(tmp_path):
    write_csv(ROWS, tmp_path / "leaderboard.csv", PARAMETERS)
    frame = pd.read_csv(tmp_path / "leaderboard.csv")
    assert frame["nll_hais"].tolist()[:2] == [97.25, 100.0]
    assert frame["model.flow.depth"].tolist()[:2] == [2, 0]


def test_files_do_not_depend_on_the_order_of_rows(tmp_path):
    generator = random.Random(0)
    write_csv(ROWS, tmp_path / "a.csv")
    write_markdown(ROWS, tmp_path / "a.md")
    for _ in range(10):
        shuffled = generator.sample(ROWS, len(ROWS))
        write_csv(shuffled, tmp_path / "b.csv")
        write_markdown(shuffled, tmp_path / "b.md")
        assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
        assert (tmp_path / "a.md").read_bytes() == (tmp_path / "b.md").read_bytes()


def test_writing_fails_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "leaderboard.csv"
    write_csv(ROWS[:1], path)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(OSError, match="no space"):
        write_csv(ROWS, path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["leaderboard.csv"]


def test_frame_keeps_types():
    frame = leaderboard_frame(ROWS, PARAMETERS)
    assert frame["rank"].tolist()[:2] == [1, 2]
    assert str(frame["rank"].dtype) == str(frame["model.flow.made.width"].dtype) == "Int64"
    assert str(frame["model.flow.gated"].dtype) == "boolean"
    assert str(frame["nll_hais"].dtype) == "float64"
    assert frame["trial"].tolist() == ["t0002", "t0001", "t0003", "t0004"]
    assert leaderboard_frame([]).empty


def test_table_says_how_many_images_each_figure_rests_on():
    table = leaderboard_table(ROWS, PARAMETERS)
    assert "validation -ELBO (1,000 images)" in table.header
    assert "test NLL, IS (1,000 images)" in table.header
    assert "test NLL, HAIS" in table.header  # not the same for all: in the cells
    cells = dict(zip(table.header, table.texts[0], strict=True))
    assert cells["test NLL, HAIS"] == "97.25 ± 2.50 (100 images)"
    assert cells["test NLL, IS (1,000 images)"] == "98.50 ± 0.75, 25% untrusted"
    assert cells["test NLL, IS beside HAIS (100 images)"] == "97.50 ± 2.25"
    assert cells["parameters"] == "1,234,567"
    second = dict(zip(table.header, table.texts[1], strict=True))
    assert second["test NLL, HAIS"] == "100.00 ± 1.00 (50 images)"
    assert second["model.flow.made.width"] == "-"
    assert [each[:3] for each in table.rows] == [
        ("1", "t0002", "completed"),
        ("2", "t0001", "completed"),
        ("-", "t0003", "diverged"),
        ("-", "t0004", "failed"),
    ]
    assert table.notes[1:3] == (
        "IS: importance sampling, 1,000 samples per image.",
        "HAIS: Hamiltonian annealed importance sampling, prior, 100 x 5 x 8 (start, temperatures x leapfrog steps x "
        "chains).",
    )


def test_table_leaves_out_figures_that_no_trial_has():
    table = leaderboard_table([ROWS[3]])
    assert table.header == ("rank", "trial", "status", "epochs", "parameters", "seconds")
    assert leaderboard_table([]).rows == ()


def test_markdown():
    text = markdown_table(TextTable(header=("a", "b"), rows=(("1", "x|y\n<b>"), ("2", "`z`")), notes=("*n*",)), "T_1")
    assert text == "# T\\_1\n\n| a | b |\n| --- | --- |\n| 1 | x\\|y &lt;b&gt; |\n| 2 | \\`z\\` |\n\n\\*n\\*\n"


def test_markdown_file(tmp_path):
    write_markdown(ROWS, tmp_path / "leaderboard.md", "How deep?", PARAMETERS)
    lines = (tmp_path / "leaderboard.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# How deep?"
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(ROWS)
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1


def gap(value, error=None, images=None, settings="prior 9x3x4"):
    return Figure(value=value, error=error, images=images, settings=settings)


def test_the_gap_of_the_sandwich_has_its_error_and_its_images():
    rows = [BEST.model_copy(update={"hais_gap": gap(0.173, 0.042, 100)})]
    table = leaderboard_table(rows, PARAMETERS)
    cells = dict(zip(table.header, table.texts[0], strict=True))
    assert cells["HAIS gap (100 images)"] == "0.17 ± 0.04"
    assert any("images simulated from the model" in note for note in table.notes)
    assert leaderboard_frame(rows).hais_gap_error[0] == 0.042
    infinite = leaderboard_table([BEST.model_copy(update={"hais_gap": gap(math.inf, math.nan)})])
    assert "inf ± nan" in infinite.texts[0]


def test_the_gap_says_of_which_hais_it_is(tmp_path):
    def hais(settings):
        return Figure(value=90.0, settings=settings)

    same = BEST.model_copy(update={"hais_gap": gap(0.17), "nll_hais": hais("prior 9x3x4")})
    other = same.model_copy(update={"trial": "t0009", "nll_hais": hais("prior 36x3x4")})

    def note(*rows):
        (found,) = (each for each in leaderboard_table(rows).notes if each.startswith("HAIS gap"))
        return found.removesuffix(
            ". It is the upper minus the lower bound on images simulated from the model; both hold in expectation."
        )

    assert note(same) == "HAIS gap: prior 9x3x4"
    assert note(other) == "HAIS gap: prior 9x3x4 (not the settings of the HAIS figure)"
    assert note(same, other) == "HAIS gap: prior 9x3x4 (not the settings of the HAIS figure of t0009)"
    third = same.model_copy(
        update={"trial": "t0009", "hais_gap": gap(0.17, settings="prior 8x3x4"), "nll_hais": hais("prior 8x3x4")}
    )
    assert note(same, third) == "HAIS gap: prior 8x3x4; or prior 9x3x4"
    assert "0.17 (prior 8x3x4)" in leaderboard_table([same, third]).texts[1]
    write_csv([other], tmp_path / "l.csv")
    assert read(tmp_path / "l.csv")[0]["hais_gap_settings"] == "prior 9x3x4"


def test_the_types_of_columns_do_not_depend_on_the_rows():
    full, waiting = leaderboard_frame(ROWS), leaderboard_frame([LeaderboardRow(trial="t0001", status="pending")])
    fields = list(waiting.columns)
    assert "parameters" in fields
    assert full[fields].dtypes.equals(waiting.dtypes)
    assert leaderboard_frame([])[fields].dtypes.equals(waiting.dtypes)
    assert not [name for name in fields if waiting[name].dtype == object]
    assert waiting["hais_gap"].round(2).isna().all()
    types = {"hais_gap": "float64", "hais_gap_images": "Int64", "error": "string", "status": "string"}
    types |= {"precision": "string", "compiled": "boolean", "parameters": "Int64"}
    assert {name: str(waiting[name].dtype) for name in types} == types
