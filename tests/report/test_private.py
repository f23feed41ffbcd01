import getpass
import socket

import pytest

from iafsweep.report import private
from iafsweep.report.private import shareable
from tests.report.hostile import PRIVATE, SECRETS


@pytest.mark.parametrize("text", PRIVATE)
def test_what_tells_of_people_and_machines_is_left_out(text):
    shown = shareable(text)
    assert "…" in shown
    assert not [secret for secret in SECRETS if secret in shown], shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("FileNotFoundError: '/home/alice/MNIST/raw/train-images.xz'", "FileNotFoundError: '…/train-images.xz'"),
        ("line 3 of /usr/lib/python3/site.py: no", "line 3 of …/site.py: no"),
        ("/home/alice", "…"),
        ('"C:\\Users\\A B\\c d.txt"', '"…/c d.txt"'),
    ],
)
def test_the_last_name_of_a_path_stays(text, shown):
    assert shareable(text) == shown


@pytest.mark.parametrize(
    "text",
    ["s/epoch", "either/or 1/2", "</script>", "ValueError: shape (3, 4) != (4, 3)", "torch 2.15.0", "model.flow.depth",
     "runs/quick-1", "root of the tree", "12:30:00", "torch::jit::load", "std::abs", "::", 
     "2026-01-01T12:30:00+00:00", "x @ y", "</b></p>", "--tracker mlflow", "ab:cd", "dead::beef_is_a_name", "ffn::c10d",
     "a ./run b", "../runs/quick-1/best.pt", "x-y/z", "−ELBO ± 0.3, k̂"],
)  # fmt: skip
def test_ordinary_words_stay(text):
    assert shareable(text) == text


def test_control_and_direction_marks_are_replaced():
    assert shareable("a\x00b\x1b[31m\u202ec\u200bd") == "a�b�[31m�c�d"
    assert shareable("a\n  b\tc\u2028d") == "a b c d"


def test_this_host_and_this_user_are_left_out(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu-box.lab.example")
    monkeypatch.setattr(getpass, "getuser", lambda: "mallory")
    private._names.cache_clear()
    try:
        shown = shareable("Mallory on gpu-box.lab.example, again on GPU-BOX; mallory2 and agpu-boxes are others")
    finally:
        monkeypatch.undo()
        private._names.cache_clear()
    assert shown == "… on …, again on …; mallory2 and agpu-boxes are others"
