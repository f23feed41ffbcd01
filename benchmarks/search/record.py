"""Record a space: `IAFSWEEP_DATA=... python -m benchmarks.search.record train mnist CACHE`, then `refine`, then `keep`.

`train` trains the configurations of a scrambled Sobol sequence over spaces/SPACE.toml on part of its images, every
tenth one with a second seed. As each training ends, it appends the validation bound and CPU seconds of every epoch to
CACHE/SPACE.jsonl. A second call trains only what is missing; an interrupted training starts again. Two processes share
the work with `--part 1/2` and `--part 2/2`.

`refine` trains the configurations that a surrogate of these rows ranks best. Every search is measured against the
optimum of the surrogate, which is where the surrogate is most likely to be too optimistic. A second call uses the rows
of the first as well.

`keep` writes the rows in order to tables/SPACE.jsonl, which is part of the repository. Its first line says how they
were made.

Seconds are process time on one thread, so other work on the machine changes them little.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer

from benchmarks.part import WHOLE, PartOption
from benchmarks.search.rows import add_row, read_rows
from benchmarks.timing import machine
from iafsweep.atomic import write_text
from iafsweep.config import RunConfig
from iafsweep.data import TrainingImages, load_training_images
from iafsweep.data_root import default_data_root
from iafsweep.rehearsal.curves import Curve
from iafsweep.rehearsal.surrogate import Surrogate
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.candidate import Candidate, candidate, short_seed
from iafsweep.search_space.distributions import Scalar
from iafsweep.search_space.files import load_space
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.sequences import distinct, quasi_random_values
from iafsweep.training import DivergedError, Trainer
from iafsweep.version import VERSION

HERE = Path(__file__).parent
TABLES = HERE / "tables"
SECOND_SEED_EVERY = 10


class Extent(NamedTuple):
    """How much of a space is recorded, and on how many images: the first of the split."""

    configurations: int
    training_images: int
    validation_images: int


EXTENTS = {"mnist": Extent(200, 8000, 2000), "fashion": Extent(100, 6000, 2000)}
QUICK = Extent(3, 400, 100)

app = typer.Typer(add_completion=False, help=__doc__)
Space = Annotated[str, typer.Argument(help=f"One of {', '.join(EXTENTS)}.")]
Cache = Annotated[Path, typer.Argument(help="Folder for intermediate results, outside the repository.")]
Quick = Annotated[bool, typer.Option("--quick", help="Run a miniature, to check that the script works.")]


@app.command()
def train(
    space: Space,
    cache: Cache,
    part: PartOption = WHOLE,
    quick: Quick = False,
) -> None:
    """Train the configurations that are not recorded yet."""
    torch.set_num_threads(1)
    extent = _extent(space, quick)
    searched, rows = the_space(space, quick), cache / f"{space}.jsonl"
    images = first_images(searched, extent)
    for number, seed, found in part.of(_trainings(searched, extent)):
        if (number, seed) in _recorded(rows):
            continue
        row: dict[str, Any] = {"number": number, "seed": seed, "parameters": dict(found.values)}
        row |= _trained(found.config, images, RunFolder(cache / f"{space}-{part.first}"))
        add_row(rows, row)
        typer.echo(f"{number}.{seed} {row['status']}: {min(row['bounds'], default=math.nan):.2f} nats")


@app.command()
def refine(
    space: Space,
    cache: Cache,
    configurations: Annotated[int, typer.Option(min=1, help="How many configurations to train.")] = 10,
    quick: Quick = False,
) -> None:
    """Train the configurations that a surrogate of the recorded ones ranks best."""
    torch.set_num_threads(1)
    searched, extent, rows = the_space(space, quick), _extent(space, quick), cache / f"{space}.jsonl"
    images, recorded = first_images(searched, extent), _recorded(rows)
    surrogate = Surrogate(searched, [curve_of(row) for row in recorded.values()])
    ranked = (candidate_of(searched, values) for values in surrogate.ranked(searched))
    known = {candidate_of(searched, row["parameters"]).key for row in recorded.values()}
    best = islice((found for found in ranked if found.key not in known), configurations)
    last = max([extent.configurations, *(number for number, _ in recorded)])
    for number, found in enumerate(best, start=last + 1):
        foretold = float(surrogate.bounds([found.values]).min())
        row: dict[str, Any] = {"number": number, "seed": 0, "parameters": dict(found.values)}
        row |= _trained(found.config, images, RunFolder(cache / f"{space}-refined"))
        add_row(rows, row)
        lowest = min(row["bounds"], default=math.nan)
        typer.echo(f"{number} {row['status']}: {lowest:.2f} nats, predicted {foretold:.2f}")


@app.command()
def keep(
    space: Space,
    cache: Cache,
    to: Annotated[Path, typer.Option(help="Folder of the table.")] = TABLES,
    quick: Quick = False,
) -> None:
    """Write the table that is part of the repository."""
    torch.set_num_threads(1)
    extent = _extent(space, quick)
    known = _recorded(cache / f"{space}.jsonl")
    wanted = [(number, seed) for number, seed, _ in _trainings(the_space(space, quick), extent)]
    made = f"python -m benchmarks.search.record train {space}; {machine(torch.device('cpu'))}; iafsweep {VERSION}"
    refined = sorted(each for each in known if each[0] > extent.configurations)
    missing = sum(each not in known for each in wanted)
    head = {"made": made, **extent._asdict(), "missing": missing, "refined": len(refined)}
    lines = [json.dumps(row) for row in (head, *(known[each] for each in (*wanted, *refined) if each in known))]
    to.mkdir(parents=True, exist_ok=True)
    write_text(to / f"{space}.jsonl", "\n".join(lines) + "\n")
    typer.echo(f"{to / f'{space}.jsonl'}: {len(lines) - 1} trainings, {head['missing']} missing")


def curve_of(row: Mapping[str, Any]) -> Curve:
    """Return the curve of a row."""
    return Curve(row["parameters"], tuple(row["bounds"]), tuple(row["seconds"]), row["status"])


def candidate_of(space: SearchSpace, values: Mapping[str, Scalar], repeat: int = 0) -> Candidate:
    """Return a configuration of a recorded space, all of which are possible."""
    found = candidate(space, values, repeat=repeat)
    assert found is not None
    return found


def the_space(name: str, quick: bool = False) -> SearchSpace:
    """Return a recorded space; as a miniature on embedded images, with few epochs."""
    embedded = ("data.source=mnist_mini", "data.validation_images=1000")
    return load_space(HERE / "spaces" / f"{name}.toml", embedded if quick else (), epochs=5 if quick else None)


def first_images(space: SearchSpace, extent: Extent) -> TrainingImages:
    """Return the first of the split's images, as many as are trained on."""
    images = load_training_images(space.base.data, default_data_root())
    return TrainingImages(images.training[: extent.training_images], images.validation[: extent.validation_images])


def _extent(space: str, quick: bool) -> Extent:
    if space not in EXTENTS:
        raise typer.BadParameter(f"no space is called {space!r}; known: {', '.join(EXTENTS)}")
    return QUICK if quick else EXTENTS[space]


def _trainings(space: SearchSpace, extent: Extent) -> Iterator[tuple[int, int, Candidate]]:
    """What is trained, in order: number of the configuration, which of its seeds, and the configuration."""
    drawn = islice(
        distinct(space, quasi_random_values(space, short_seed("quasi_random", space.sweep.seed))), extent.configurations
    )
    for number, found in enumerate(drawn, start=1):
        yield number, 0, found
        if number % SECOND_SEED_EVERY == 1:
            yield number, 1, candidate_of(space, found.values, repeat=1)


def _recorded(rows: Path) -> dict[tuple[int, int], dict[str, Any]]:
    return {(row["number"], row["seed"]): row for row in read_rows(rows)}


def _trained(config: RunConfig, images: TrainingImages, folder: RunFolder) -> dict[str, Any]:
    """Train a configuration to its end and return what its row says; its folder is gone afterwards."""
    shutil.rmtree(folder.path, ignore_errors=True)
    config = config.model_copy(  # nothing goes on from its checkpoints
        update={"training": config.training.model_copy(update={"checkpoint_every_epochs": config.training.epochs})}
    )
    trainer = Trainer.start(config, images, folder, torch.device("cpu"))
    bounds: list[float] = []
    seconds: list[float] = []
    status = "completed"
    while not trainer.is_done and status == "completed":
        began = time.process_time()
        try:
            bound = trainer.run_epoch().validation_negative_elbo
            assert bound is not None  # these spaces have validation images
            bounds.append(round(bound, 3))
        except DivergedError:
            status = "diverged"
        seconds.append(round(time.process_time() - began, 3))
    trainer.close()
    shutil.rmtree(folder.path)
    return {"status": status, "bounds": bounds, "seconds": seconds}


if __name__ == "__main__":
    app()
