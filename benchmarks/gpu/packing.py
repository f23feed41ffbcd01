"""Several trials on one device: images a second of all processes together, for each number of them."""

from __future__ import annotations

from statistics import median

from benchmarks.gpu.context import Context, run_step
from benchmarks.packing import side_by_side, take_turns

ROUNDS = 2


def main(context: Context) -> None:
    """Train side by side, one configuration after the other."""
    sizes = context.sizes
    for model in sizes.packed:
        rows = side_by_side(model, sizes.processes, sizes.batch_size, sizes.turn)
        take_turns(rows, ROUNDS)
        for count, row in zip(sizes.processes, rows, strict=True):
            rate, alone = median(row.rates), median(rows[0].rates)
            found = {"model": model, "processes": count, "images_a_second": rate, "against_one": rate / alone}
            context.append("rows", found)


if __name__ == "__main__":
    run_step(main)
