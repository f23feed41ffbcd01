"""Train, sweep and score in a program, with toy networks: a minute or two on two cores, no download.

Run it from anywhere: python examples/sweep.py [FOLDER]. Run again with the same folder, it continues where it stopped.
"""

import sys
from pathlib import Path

import iafsweep

TOY = {
    "title": "Does a flow pay on a toy?",
    "model.latent_size": 4,
    "model.encoder.mlp.hidden_sizes": [16],
    "model.decoder.mlp.hidden_sizes": [16],
    "model.flow.made.width": 8,
    "model.flow.made.hidden_layers": 1,
    "training.epochs": 2,
    "training.kl_warmup_epochs": 0,
    "training.batch_size": 150,
    "evaluation.bound_images": 100,
    "evaluation.importance_sampling.samples": 10,
    "evaluation.importance_sampling.images": 50,
    "evaluation.hais.enabled": False,
}


def main(folder: Path) -> None:
    """Sweep the depth of the flow, or resume that sweep, and print the results."""
    base = iafsweep.load_config("quick").with_values(TOY)
    space = iafsweep.SearchSpace(
        base=base,
        search={"model.flow.depth": iafsweep.integers(0, 1)},
        trials=2,
        sweep={"sampler": "grid", "scheduler": "none", "top": 2},
    )
    if folder.exists():
        sweep = iafsweep.load_sweep(folder).resume()
    else:
        sweep = iafsweep.launch(space, folder)
    print(sweep)
    print(sweep.compare("t0001", "t0002"))
    best = sweep.best()
    found = best.score(best.images("test", 20), samples=50)
    print(found)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/example"))
