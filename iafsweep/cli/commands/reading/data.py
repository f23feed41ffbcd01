"""`run_sweep.py data`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from iafsweep.cli.console import loading, make_console, say
from iafsweep.config.problems import nearest
from iafsweep.data_root import absolute_data_root
from iafsweep.errors import UserError
from iafsweep.signals import leaving_at_once

if TYPE_CHECKING:
    from iafsweep.data.source import KnownSet


def data(
    name: Annotated[str | None, typer.Argument(help="Show details of this set: `omniglot`.", metavar="SET")] = None,
    data_root: Annotated[
        Path | None, typer.Option(help="Folder of data sets; default: $IAFSWEEP_DATA, else a cache folder.")
    ] = None,
) -> None:
    """List the data sets for data.source: their sizes, whether they are on this machine, and where they belong.

    - `run_sweep.py data`
    - `run_sweep.py data omniglot` shows its authors, its licence, and the files it needs
    """
    with leaving_at_once(), loading("PyTorch"):
        from iafsweep.data.source import known_sets
    root, console = absolute_data_root(data_root), make_console()
    known = known_sets(root)
    if name is None:
        _print_all(console, root, known)
        return
    found = [each for each in known if each.name == name]
    if not found:
        raise UserError(f"no set is called {name!r}: {nearest(name, [each.name for each in known])}")
    _print_one(console, found[0])


def _print_all(console: Console, root: Path, known: "tuple[KnownSet, ...]") -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("set", no_wrap=True)
    for heading in ("training", "validation", "test", "image", "levels", "here"):
        table.add_column(heading, justify="right")
    for each in known:
        facts = each.facts
        counts = (facts.training_images - facts.validation_images, facts.validation_images, facts.test_images)
        shape = "x".join(map(str, facts.image_shape))
        here = "no" if each.missing else "yes"
        table.add_row(each.name, *(f"{count:,}" for count in counts), shape, str(facts.levels), here)
    console.print(table)
    say(console, f"Folder of data sets: {root}")
    say(
        console,
        "A set that is not here is downloaded on first use, where possible. `data SET` shows the details of a set.",
    )
    say(console, "Images of your own: data.source = 'file', data.path = 'digits.npz' (docs/data.md).")


def _print_one(console: Console, each: "KnownSet") -> None:
    facts, about = each.facts, each.facts.about
    say(console, f"{each.name}: {about.title or 'from a plugin, without further details'}")
    drawn = "its own" if facts.validation_is_last else "drawn by data.split_seed"
    counts = f"{facts.training_images:,} images to train and validate on ({facts.validation_images:,}, {drawn})"
    shape = " x ".join(map(str, facts.image_shape))
    say(console, f"  {counts}, {facts.test_images:,} to test on; {shape}, {facts.levels} levels")
    for what, text in (("by", about.citation), ("licence", about.licence)):
        if text:
            say(console, f"  {what}: {text}")
    if not each.missing:
        say(console, "  it is on this machine")
    for path in each.missing:
        say(console, f"  not here: {path}")
