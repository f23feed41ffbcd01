"""Write docs/tutorial.md: run every command of the page in an empty folder, and insert what it prints.

`python -m tools.tutorial` takes a few minutes on two cores. In the output, only the folder's own path is shortened.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tutorial.md"
FIGURES = ROOT / "docs" / "figures"
PICTURE = FIGURES / "tutorial.png"
DRAWINGS = FIGURES / "balinese.zip"
SHOWN_PATH = "/home/you/try"
COMMANDS = {"iafsweep-sweep": "iafsweep.cli.sweep", "iafsweep-run": "iafsweep.cli.single"}
BLOCK = re.compile(r"^```(?P<kind>console|python run|toml write=(?P<name>\S+))\n(?P<text>.*?)^```$", re.M | re.S)
TEXT = """<!-- Written by tools/tutorial.py, which runs every command on this page; do not edit. -->
# Tutorial: from a question to a model

This tutorial starts from a question, answers it with a sweep, checks how far the figures can be trusted, and uses the
best model in three lines of Python. It takes a few minutes on two CPU cores and needs no download. The commands are
those of an installed package (`pip install .`). In a checkout, `iafsweep-sweep` is `.venv/bin/python run_sweep.py` and
`iafsweep-run` is `.venv/bin/python run_single.py`.

## The search space

Does a flow in the posterior pay off on a small network, and how deep should it be? A search space states the question:
what is fixed, what is searched, and how long the sweep runs. Save this one as `depth.toml`:

```toml write=depth.toml
title = "Does a flow pay on a small network?"
base = "reference.toml"                      # shipped with the package; it gives every setting that is not set here

[fixed]
"data.source" = "mnist_mini"                 # 10,000 training images, inside the package
"data.validation_images" = 1000              # held out of these, to choose trials by
"model.latent_size" = 16
"model.encoder.kind" = "mlp"
"model.encoder.mlp.hidden_sizes" = [200, 200]
"model.decoder.kind" = "mlp"
"model.decoder.mlp.hidden_sizes" = [200, 200]
"model.batch_norm_momentum" = 0.1            # this and -1.0 suit short runs; the reference's 0.001 and -3, long ones
"model.posterior_offset" = -1.0
"training.epochs" = 6
"training.batch_size" = 100
"training.kl_warmup_epochs" = 1
"evaluation.importance_sampling.samples" = 500

[search]
"model.flow.depth" = { int = [0, 3] }        # 0: a plain Gaussian posterior
"model.flow.made.width" = { choice = [64, 128], when = "model.flow.depth > 0" }
"training.learning_rate" = { float = [1e-3, 8e-3], log = true }

[sweep]
trials = 6
grace_epochs = 2                             # no trial is stopped earlier
reduction_factor = 2                         # after that, about one in two continues
top = 2                                      # how many are scored on test images
```

## Preview

`preview` checks the space against every rule and starts nothing:

```console
$ iafsweep-sweep preview depth.toml --count 3
```

Every mistake gets a message like this one:

```console
$ iafsweep-sweep preview depth.toml --set model.latnet_size=8
```

## Run the sweep

`launch` trains the trials, two at a time on two cores, stops weak ones early, and scores the best two on test images:

```console
$ iafsweep-sweep launch depth.toml --name depth
```

Trials are ranked by the validation bound alone; test figures never change a rank. `±` is the standard error over
images. `untrusted` is the share of images whose importance weights are too uneven: such a figure is a bound rather than
the likelihood ([estimators.md](estimators.md) says what to do about it). `s/epoch` is wall-clock time, affected by
whatever else was running, so two trials of the same network may differ. The star that marks the Pareto front depends
on it.

Ctrl-C costs nothing at any moment: each trial saves after its current step. `iafsweep-sweep resume runs/depth`
continues from there and gives the same figures as an uninterrupted sweep. If nothing is left to do, it ends at once.

```console
$ iafsweep-sweep status runs/depth
$ ls runs/depth
```

## Compare trials

On the same images, the difference between two trials is known far more precisely than either figure:

```console
$ iafsweep-sweep compare runs/depth
```

Test images do not change the rank. The standard error tells you whether the difference means anything.

Every image is untrusted here, so importance sampling gives only a bound. HAIS, annealed from the posterior, shows
the least that this bound misses. This command runs it on 100 images for the best trial alone. Figures that exist
already are not computed again:

```console
$ iafsweep-sweep rerun runs/depth --top 1 --hais posterior:20x3x8 --set evaluation.hais.images=100
```

`IS beside HAIS` is importance sampling on exactly the images that HAIS scored. The difference between these two columns
is, in expectation, the least that importance sampling misses; it misses more where HAIS has untrusted images as well.
Do not compare the column `test NLL, IS` with HAIS: it covers a different set of images.

## The report

The report is a single page that opens offline. It shows the leaderboard, learning curves, which parameters mattered,
pictures, and what the sweep ran on.

```console
$ iafsweep-sweep report runs/depth
```

## Use the model

`export-model` writes the best trial to one folder, with a model card that describes the model and how its figures were
measured:

```console
$ iafsweep-sweep export-model runs/depth --to models/best
$ ls models/best
$ sed -n "/^## Figures/,/^## Training/p" models/best/README.md
```

```python run
import iafsweep
import torch
from torchvision.utils import save_image

run = iafsweep.load_run("models/best")
images = run.model.sample(20)  # pixel probabilities, [20, 1, 28, 28]
x = run.images("test", 20)  # bits of test images, as they were scored
again = run.model.reconstruct(x)
save_image(torch.cat([images, x, again]), "pictures.png", nrow=20)

nats = run.log_likelihood(x, samples=500)
print(f"{len(x)} test images: {-nats.mean():.2f} nats an image, from {-nats.max():.2f} to {-nats.min():.2f}")
print(run.model.encode(x).mean.shape)

board = iafsweep.load_sweep("runs/depth").leaderboard
print(board[["rank", "trial", "status", "model.flow.depth", "validation_negative_elbo"]].to_string(index=False))
```

The rows show new images, test images, and reconstructions of the test images:

![New images from the best model, test images and their reconstructions](figures/tutorial.png)

## Your own images

The folder `drawings` holds 240 drawings: twelve letters of the Balinese alphabet, each drawn by twenty people (from
OMNIGLOT by B. Lake, MIT licence). They are PNG files, 105 x 105, black on white. The space `own_images.toml` is shipped
with the package; copy it to adapt it to your own images. Here two options are enough: the path of the images, and the
inversion of black and white. `preview` reads the images and reports what it found and how it splits them:

```console
$ ls drawings
$ iafsweep-sweep preview own_images --data-path drawings --set data.invert=true --count 2
```

```console
$ iafsweep-sweep launch own_images --data-path drawings --set data.invert=true --trials 4 --name letters
```

A model learns little from so few images, and 24 test images distinguish models only roughly, as the errors show. The
sweep stores checksums of the images and refuses to continue or score with different ones. Its report and exported
models do not say where the images are stored.

```python run
import iafsweep
import torch
from torchvision.utils import save_image

run = iafsweep.load_sweep("runs/letters").best()
x = run.images("test", 20)
save_image(torch.cat([run.model.sample(20), x, run.model.reconstruct(x)]), "letters.png", nrow=20)
print(run.config.data.images)
```

![New letters from the best model, test images and their reconstructions](figures/own_images.png)

[data.md](data.md) covers arrays, zip files, image sizes, colour, and the named data sets.

## Next steps

- Train the same configuration for longer: `iafsweep-run runs/depth/best.toml --run runs/long --set training.epochs=200`
- Train more trials, with a sampler that knows the earlier results: `iafsweep-sweep extend runs/depth --trials +20`
- Train the best two again with five seeds each: `iafsweep-sweep retrain runs/depth --top 2 --seeds 5`
- Write a space of your own: [search_spaces.md](search_spaces.md); all fields: [configuration.md](configuration.md)
"""


def main() -> None:
    """Run everything in an empty folder and write the page."""
    with tempfile.TemporaryDirectory() as home:
        folder, programs = Path(home) / "try", Path(home) / "bin"
        folder.mkdir()
        shutil.unpack_archive(DRAWINGS, folder / "drawings")
        _make_programs(programs)
        text = BLOCK.sub(_runner(folder, programs), TEXT)
        shutil.copy(folder / "pictures.png", PICTURE)
        shutil.copy(folder / "letters.png", FIGURES / "own_images.png")
    PAGE.write_text(text, encoding="utf-8")


def _make_programs(programs: Path) -> None:
    """Make the commands of an installed package, which run this checkout."""
    programs.mkdir()
    for name, module in COMMANDS.items():
        path = programs / name
        path.write_text(f"#!{sys.executable}\nfrom {module} import main\n\nmain()\n", encoding="utf-8")
        path.chmod(0o755)


def _runner(folder: Path, programs: Path) -> Callable[[re.Match[str]], str]:
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "110",
        "NO_COLOR": "1",
    }

    def run(*command: str, code: int = 0) -> str:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != code:
            raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stdout}")
        return _tidy(done.stdout, folder)

    def fill(block: re.Match[str]) -> str:
        kind, text = block["kind"], block["text"]
        if kind == "console":
            shown = [f"{line}\n{run('bash', '-c', line[2:], code=_code(line))}" for line in text.splitlines()]
            return f"```console\n{''.join(shown)}```"
        if kind == "python run":
            return f"```python\n{text}```\n\n```\n{run(sys.executable, '-c', text)}```"
        (folder / block["name"]).write_text(text, encoding="utf-8")
        return f"```toml\n{text}```"

    return fill


def _code(line: str) -> int:
    return 2 if "latnet" in line else 0


def _tidy(output: str, folder: Path) -> str:
    lines = [line.rstrip() for line in output.replace(str(folder), SHOWN_PATH).splitlines()]
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
