"""Which share of a benchmark's work a process does."""

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.part import WHOLE, PartOption


def asked(*arguments):
    app = typer.Typer()

    @app.command()
    def main(part: PartOption = WHOLE):
        typer.echo(f"{part}: {''.join(part.of('abcde'))}")

    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "1/1: abcde"), (("--part", "1/2"), "1/2: ace"), (("--part", "2/2"), "2/2: bd"), (("--part", "6/9"), "6/9: ")],
)
def test_parts_share_the_work(arguments, said):
    assert asked(*arguments).stdout == f"{said}\n"


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "x/2", "1/", "-1/2", "1/2/3"])
def test_what_is_no_part_is_refused_with_what_was_found(text):
    result = asked("--part", text)
    assert result.exit_code == 2
    assert "write K/N with 1 <= K <= N" in result.output
    assert repr(text) in result.output
