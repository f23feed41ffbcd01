"""The page in every state of a sweep: it says what is there, what is not, and why."""

import base64
import getpass
import hashlib
import html
import json
import os
import re
import socket
from collections import Counter
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from PIL import Image

from iafsweep.errors import SweepError
from iafsweep.report import write_report
from iafsweep.report.page import html_page, inside_html
from iafsweep.report.private import shareable
from iafsweep.sweep.storage.events import Exchange, Generation
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep
from iafsweep.training import RunFolder
from tests.report.hostile import MARKUP, ODD, PRIVATE, SECRETS
from tests.report.sweeps import COMMAND, SweepMaker, contents_of, driver_at_work, texts_of


class Page(HTMLParser):
    """A page's tags, what stands in its scripts and styles, its data, and every text of those."""

    def __init__(self, source):
        super().__init__()
        self.source, self.tags, self._inside, self.raw = source, [], "", {}
        self.feed(source)
        self.data = json.loads(self.raw["script"][0])
        self.text = " ".join(texts_of(self.data))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside:
            self.raw.setdefault(self._inside, []).append(data)

    def trial(self, name):
        return next(trial for trial in self.data["trials"] if trial["trial"] == name)


def page_of(folder):
    return Page(write_report(read_sweep(folder), COMMAND).read_text(encoding="utf-8"))


def test_an_autoregressive_decoder_is_named_beside_its_figures_pictures_and_differences(tmp_path):
    maker = SweepMaker(tmp_path / "sweep").began()
    values = {
        "model.encoder.kind": "mlp",
        "model.latent_size": 16,
        "model.flow.depth": 0,
        "training.learning_rate": 1e-3,
    }
    maker.add(parameters=values | {"model.decoder.autoregressive.kind": "pixelcnn"}, pictures=True)
    maker.add(parameters=values, pictures=True)
    maker.score("t0001", "t0002").ended()
    run = RunFolder(maker.folder.trial("t0001"))
    found = run.read_evaluation()
    estimates = tuple(each.model_copy(update={"autoregressive": True}) for each in found.estimates)
    run.write_evaluation(found.model_copy(update={"estimates": estimates}))
    contents = contents_of(maker.folder)
    words = "autoregressive decoder"
    of = {trial.trial: [each for each in trial.figures if each is not None] for trial in contents.trials}
    assert len(of["t0001"]) >= 4
    assert all(words in figure.details for figure in of["t0001"] if figure.error is None or figure.value > 1)
    assert not any(words in figure.details for figure in of["t0002"])
    assert words in contents.pictures["t0001"].reconstructions_how
    assert "own earlier pixels" in contents.pictures["t0001"].reconstructions_how
    assert not contents.pictures["t0002"].reconstructions_how
    diagnostics = {row[0]: str(row[4]) for row in contents.diagnostics.rows}
    assert words in diagnostics["t0001"]
    assert words not in diagnostics["t0002"]
    assert any(note.lower().startswith(words) for note in contents.notes)
    trials = {trial.trial: trial for trial in contents.trials}
    assert (trials["t0001"].decoder, trials["t0002"].decoder) == (words, None)
    assert trials["t0001"].latents.kl == trials["t0002"].latents.kl == 1.0
    if contents.best == "t0001":
        assert all(words in tile.foot for tile in contents.tiles if "ELBO" in tile.label or "NLL" in tile.label)


def test_a_sweep_that_ended(full):
    page = page_of(full)
    best = page.data["best"]
    assert Counter(trial["status"] for trial in page.data["trials"]) == {
        "completed": 14, "stopped": 5, "failed": 3, "diverged": 1, "oom": 1,
    }  # fmt: skip
    for expected in (best, "24 of 24 trials have ended",
                     "All trials have ended", "CUDA out of memory",
                     "python run_sweep.py report runs/quick-1", "ValueError: no"):  # fmt: skip
        assert expected in page.text
    assert {trial["trial"] for trial in page.data["trials"]} == {f"t{number:04d}" for number in range(1, 25)}
    assert page.data["trials"][0]["trial"] == best
    place = next(at for at, name in enumerate(page.data["figures"]) if name.startswith("test NLL, IS ("))
    assert [page.trial(name)["figures"][place]["untrusted"] for name in ("t0001", "t0003")] == [0.02, 0.9]
    assert {"value": 0.2, "error": 0.05} in page.data["sandwiches"]["rows"][0]
    assert len(page.data["pictures"]) == 14
    for drawn in page.data["pictures"].values():
        assert all(source.startswith("data:image/png;base64,") for source in drawn.values())
    assert page.data["train_again"].startswith("python run_single.py runs/quick-1/trials/TRIAL/config.toml --run ")


def test_the_verdict_follows_the_diagnostics(tmp_path):
    for untrusted, verdict in (
        (0.02, "trusted"),
        (0.2, "doubtful"),
        (0.9, "not to be trusted"),
    ):
        maker = (
            SweepMaker(tmp_path / str(untrusted), trials=1).began().add().score("t0001", untrusted=untrusted).ended()
        )
        page = page_of(maker.folder)
        assert page.data["verdict"]["word"] == verdict
        assert ("upper bounds" in page.text or "as an upper bound" in page.text) == (untrusted > 0.05)
    bare = SweepMaker(tmp_path / "bare", trials=1).began().add().ended()
    assert "has not been scored on test images" in page_of(bare.folder).text


def test_a_running_sweep(tmp_path):
    maker = SweepMaker(tmp_path / "s").began().add(count=2).add("running", count=2)
    with driver_at_work(maker.folder):
        page = page_of(maker.folder)
    assert "A driver is running the sweep" in page.text
    assert page.data["running"]
    assert [page.trial(trial)["status"] for trial in ("t0003", "t0004")] == ["running"] * 2
    assert "process" not in page.text  # whose lock says which process on which host
    assert set(page.data["curves"]) == {trial["trial"] for trial in page.data["trials"]}


@pytest.mark.parametrize(
    ("ended", "sentence"),
    [(("interrupted",), "It ended before its last trial. 4 trials are left; use resume to continue."),
     (("stopped", "1 hour is used up"), "It ended before its last trial: 1 hour is used up."),
     (None, "The driver disappeared without recording why; 4 trials are left.")],
)  # fmt: skip
def test_an_interrupted_sweep(tmp_path, ended, sentence):
    maker = SweepMaker(tmp_path / "s").began().add(count=3).add("stopped").add("running")
    if ended:
        maker.ended(*ended)
    page = page_of(maker.folder)
    assert sentence in page.text
    assert [trial["status"] for trial in page.data["trials"]].count("interrupted") == 1
    assert page.data["best"] is not None


def test_training_counts_before_a_trial_has_ended(tmp_path):
    values = {"model.encoder.kind": "mlp", "model.flow.depth": 0, "training.learning_rate": 1e-3}
    maker = SweepMaker(tmp_path / "s").began().add("running", count=2, parameters=values).ended("interrupted")
    assert "6 s of training" in page_of(maker.folder).text  # two trials, three epochs of a second each


def test_retrained_figures_of_a_sweep_that_was_not_scored_say_how_they_were_made(tmp_path):
    values = {"model.encoder.kind": "mlp", "model.flow.depth": 0, "training.learning_rate": 1e-3}
    folder = SweepMaker(tmp_path / "s", trials=1).began().add(parameters=values).ended().folder
    SweepMaker(folder.path / "retrain" / "top1-seeds2", trials=2).add(count=2, parameters=values).score(
        "t0001", "t0002"
    )
    page = page_of(folder)
    assert "IS: importance sampling, 1,000 samples per image." in page.text
    assert "HAIS: Hamiltonian annealed importance sampling, posterior 20x4x16 (start, " in page.text
    assert re.search(r"mean over 2 seeds, ± standard deviation across seeds\W+1,000 images\W+1,000 samples", page.text)


def test_a_sweep_with_failures_only(tmp_path):
    maker = (
        SweepMaker(tmp_path / "s", trials=4)
        .began()
        .add("failed", count=3, error="Traceback\nValueError: no")
        .add("oom")
    )
    page = page_of(maker.ended("aborted", "several trials in a row failed in the same way").folder)
    for expected in ("There is no best trial", "No trial completed", "t0001 t0002 t0003", "ValueError: no", "aborted",
                     "No trial has finished an epoch", "Too few trials: 0 trials completed",
                     "No trial has been scored on test images yet"):  # fmt: skip
        assert expected in page.text
    assert "best" not in page.data
    assert page.data["figures"] == []


def test_a_sweep_with_one_trial(tmp_path):
    page = page_of(SweepMaker(tmp_path / "s", trials=1).began().add().ended().folder)
    assert page.data["best"] == "t0001"
    assert "Too few trials: 1 trial completed" in page.text
    assert list(page.data["curves"]) == ["t0001"]


def test_a_population_says_what_its_values_are(tmp_path):
    maker = SweepMaker(tmp_path / "s", trials=2).began().add("running", count=2)
    assert "A population" not in page_of(maker.folder).text
    values = {"model.flow.depth": 0, "training.learning_rate": 1e-3}
    copy = Exchange(trial="t0002", donor="t0001", parameters=values, seed=9, key="k", repeat=1)
    page = page_of(maker.add_rows(Generation(epoch=3, exchanges=(copy,), time="t")).folder)
    assert "A population: trials continued from copies of others, with new settings, 1 time in all." in page.text
    place = [each["name"] for each in page.data["parameters"]].index("depth")
    assert page.trial("t0002")["values"][place] == 0


def test_an_empty_ledger(tmp_path):
    page = page_of(SweepMaker(tmp_path / "s").folder)
    for expected in ("No trial has been proposed", "0 of 8 trials have ended", "not begun"):
        assert expected in page.text


def test_no_sweep(tmp_path):
    with pytest.raises(SweepError, match="not a sweep folder"):
        write_report(read_sweep(SweepFolder(tmp_path)), COMMAND)
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_cost_no_more_than_themselves(tmp_path):
    maker = SweepMaker(tmp_path / "s").began().add(count=3, pictures=True)
    runs = [RunFolder(maker.folder.trial(trial)) for trial in ("t0001", "t0002", "t0003")]
    runs[0].metrics.write_text("{not json}\n{}\n")
    runs[1].samples.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    runs[2].reconstructions.write_bytes(b"GIF89a")
    with maker.folder.ledger.open("a") as file:
        file.write("damaged\n")
    maker.folder.environment.write_text('{"time": "cut o')
    maker.score("t0002")
    RunFolder(maker.folder.trial("t0003")).evaluation.write_text("{")
    page = page_of(maker.folder)
    assert {row[0] for row in page.data["diagnostics"]["rows"]} == {"t0002"}
    assert str(tmp_path) not in page.source
    for expected in ("t0001/metrics.jsonl is damaged", "t0002/samples.png cannot be shown",
                     "t0003/reconstructions.png cannot be shown", "is damaged and left out",
                     "the test figures of t0003 are left out: ", "evaluation.json is damaged"):  # fmt: skip
        assert expected in page.text
    assert {"value": 85.0, "error": 0.5} == {
        name: value for name, value in page.trial("t0002")["figures"][2].items() if name in ("value", "error")
    }  # its figures are still on the leaderboard
    assert len(page.data["curves"]) == 2


def test_the_page_stands_alone(full):
    page = page_of(full)
    loading = {"src", "href", "action", "data", "poster", "srcset", "background", "formaction", "xlink:href"}
    for tag, attributes in page.tags:
        assert not loading & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    for style in page.raw["style"]:
        assert not re.search(r"url\(|@import", style)
    names = set(re.findall(r"https?://[^\"'`\s)]+", page.source)) - set(re.findall(r"https?://[^\s)]+", licences()))
    assert all(name.startswith("http://www.w3.org/") for name in names)  # names of XML's, which nothing loads


def licences():
    return (files("iafsweep.report") / "assets" / "libraries" / "LICENSES.txt").read_text()


def test_the_page_carries_its_libraries_licences(full):
    source = page_of(full).source
    for expected in ("Apache License", "zrender", "Copyright (c) 2015-2026 Oli Folkerd"):
        assert expected in source
    assert licences() in source


def policy_of(page):
    policy = next(each["content"] for _, each in page.tags if each.get("http-equiv") == "Content-Security-Policy")
    return dict(rule.strip().split(" ", 1) for rule in policy.split(";")), policy


def test_the_policy_allows_its_own_style_and_scripts_alone(full):
    page = page_of(full)
    rules, policy = policy_of(page)
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy
    assert "connect-src" not in rules
    texts = {"style": page.raw["style"], "script": page.raw["script"][-3:]}  # behind the data and the licences
    for name, found in texts.items():
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found]
        assert rules[f"{name}-src"] == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert [tag for tag, _ in page.tags].index("meta") < [tag for tag, _ in page.tags].index("style")
    live = Page(html_page(contents_of(full), live=True))
    assert policy_of(live)[0] == rules | {"connect-src": "'self'"}


@pytest.mark.parametrize("text", MARKUP + ODD)
def test_hostile_texts_stay_texts(tmp_path, text):
    values = {"model.encoder.kind": text, text: text, "model.flow.depth": 0, "training.learning_rate": 1e-3}
    maker = SweepMaker(tmp_path / "s", title=text).began().add(parameters=values)
    maker.add("failed", parameters=values, error=f"Traceback\n{text}").ended("stopped", text)
    plain = page_of(
        SweepMaker(tmp_path / "p").began().add().add("failed", error="Traceback\nx").ended("stopped", "x").folder
    )
    page = page_of(maker.folder)
    expected, found = ([tag for tag, _ in each.tags if tag in ("script", "style", "img")] for each in (plain, page))
    assert found == expected
    assert len(page.raw["script"]) == 5
    assert page.raw["script"][1:] == plain.raw["script"][1:]
    assert page.source.count("</script>") == 5
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
    if text.isprintable() and text.strip() == text and len(text) < 100:
        assert html.escape(shareable(text), quote=True) in page.source
        assert shareable(text) in page.trial("t0001")["values"]


def test_nothing_tells_of_people_or_machines(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu-box-17")
    monkeypatch.setattr(getpass, "getuser", lambda: "mallory")
    monkeypatch.setenv("IAFSWEEP_SECRET", "hunter2-hunter2")
    maker = SweepMaker(tmp_path / "s", title=PRIVATE[0]).began()
    for text in PRIVATE:
        maker.add("failed", error=f"Traceback\n{text}")
    maker.add().ended("stopped", PRIVATE[1])
    page = page_of(maker.folder)
    source = page.source
    for library in page.raw["script"][-3:]:
        source = source.replace(library, "")  # in which there is a colour named aliceblue
    for secret in (
        *SECRETS,
        "gpu-box-17",
        "mallory",
        "hunter2",
        str(tmp_path),
        os.getcwd(),
        os.path.expanduser("~") + "/",
    ):
        assert secret not in source, secret


def test_the_same_files_give_the_same_page(full):
    first, second = (
        re.sub(r'"made":"[^"]*"', "", write_report(read_sweep(full), COMMAND).read_text()) for _ in range(2)
    )
    assert first == second


def test_json_in_a_page_ends_no_element():
    text = json.dumps({"a": "</script><!--\u2028&"}, ensure_ascii=False)
    inside = inside_html(text)
    assert not set(inside) & set("<>&\u2028")
    assert json.loads(inside) == {"a": "</script><!--\u2028&"}


@pytest.mark.slow
@pytest.mark.parametrize(("trials", "most"), [(16, 3e6), (500, 6e6)])
def test_a_page_stays_small_enough_to_mail(tmp_path, trials, most):
    """With curves of 100 epochs, and pictures as large as runs on MNIST draw them."""
    maker = SweepMaker(tmp_path / "s", trials=trials, epochs=100).began().add(count=trials)
    for number in range(1, 21):
        run = RunFolder(maker.folder.trial(f"t{min(number, trials):04d}"))
        for path in (run.samples, run.reconstructions):
            Image.effect_noise((300, 300), 60).point(lambda grey: 0 if grey < 150 else grey).save(path)
    assert 1e6 < write_report(read_sweep(maker.ended().folder), COMMAND).stat().st_size < most
