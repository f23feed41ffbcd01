"""`run_sweep.py preview`."""

from pathlib import Path
from typing import Annotated

import typer

from iafsweep.cli.console import loading, make_console, say
from iafsweep.cli.options.sweep import Overrides, Space
from iafsweep.signals import leaving_at_once


def preview(
    space: Space,
    count: Annotated[int, typer.Option(min=1, help="Number of configurations to show.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sample; another seed shows other configurations.")] = 0,
    overrides: Overrides = None,
    data_path: Annotated[
        Path | None, typer.Option(help="Path of your own images, instead of data.path (for data.source = 'file').")
    ] = None,
) -> None:
    """Check a search space and show sample configurations with their parameter counts, without training.

    Example: `run_sweep.py preview mnist --count 10`
    """
    from iafsweep.search_space.files import load_space

    loaded = load_space(space, overrides or [])
    with leaving_at_once(), loading("PyTorch"):
        from iafsweep.api.own_images import space_with_images, told
        from iafsweep.cli.tables import print_table
        from iafsweep.search_space.preview import preview_table, sample_configurations
        from iafsweep.sweep.cluster.footprint import parameter_count

    loaded, own = space_with_images(loaded, data_path)
    console = make_console()
    table = preview_table(loaded, sample_configurations(loaded, count, seed), parameter_count)
    if loaded.title:
        console.print(loaded.title, markup=False, style="bold")
    if own is not None:
        say(console, told(loaded.base.data, own))
    print_table(console, table, [parameter.path for parameter in loaded.parameters])
