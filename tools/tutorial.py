"""Write docs/tutorial.md: every command on it is run, in an empty folder, and what it prints is what stands there.

`python -m tools.tutorial` takes a few minutes on two cores. Only the folder's own path is shortened in what is printed.
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
TEXT = """<!-- Written by tools/tutorial.py, which runs all that stands here; do not edit. -->
# From a question to a model

A question, a sweep that answers it, figures that can be trusted, and a model in three lines of Python. It takes a few
minutes on two CPU cores and needs no download. The commands are those of an installed package (`pip install .`); in a
checkout `.venv/bin/python run_sweep.py` is `iafsweep-sweep`, and `run_single.py` is `iafsweep-run`.

## The question

Does a flow in the posterior pay on a small network, and how deep should it be? A search space asks it: what is fixed,
what is searched, and how long. This is `depth.toml`:

```toml write=depth.toml
title = "Does a flow pay on a small network?"
base = "reference.toml"                      # shipped with the package; what is not said here is as in that file

[fixed]
"data.source" = "mnist_mini"                 # 10,000 training images, inside the package
"data.validation_images" = 1000              # of them, to choose by
"model.latent_size" = 16
"model.encoder.kind" = "mlp"
"model.encoder.mlp.hidden_sizes" = [200, 200]
"model.decoder.kind" = "mlp"
"model.decoder.mlp.hidden_sizes" = [200, 200]
"model.batch_norm_momentum" = 0.1            # short runs: the reference's 0.001 and -3 are for long ones
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
grace_epochs = 2                             # no trial is stopped before
reduction_factor = 2                         # then about one in two goes on
top = 2                                      # scored on test images
```

## Look before

`preview` checks every rule and starts nothing:

```console
$ iafsweep-sweep preview depth.toml --count 3
```

Every mistake is answered like this one:

```console
$ iafsweep-sweep preview depth.toml --set model.latnet_size=8
```

## Run

`launch` trains the trials, two at a time on two cores, stops weak ones early, and scores the best two on test images:

```console
$ iafsweep-sweep launch depth.toml --name depth
```

Trials are ranked by the validation bound alone; test figures change no rank. `±` is the standard error over images, and
`untrusted` the share of images whose importance weights are too uneven: such a figure is a bound rather than the
likelihood ([estimators.md](estimators.md) says what to do about it). `s/epoch` is by the wall clock, beside whatever
else ran, so that two trials of one network may differ; the star of the Pareto front rests on it. Ctrl-C at any moment
costs nothing: trials save after the step they are in, and `iafsweep-sweep resume runs/depth` goes on from there, with
the figures of a sweep that nobody disturbed; it is done at once where all is done.

```console
$ iafsweep-sweep status runs/depth
$ ls runs/depth
```

## Is the first really better?

On the same images the difference of two trials is known far better than either figure:

```console
$ iafsweep-sweep compare runs/depth
```

The rank stands whatever test images say; the error tells whether the difference means anything.

Every image is untrusted, so importance sampling gives a bound here. HAIS, annealed from the posterior, says what it
misses at least; on 100 images, for the best alone, and what was scored before is not scored again:

```console
$ iafsweep-sweep rerun runs/depth --top 1 --hais posterior:20x3x8 --set evaluation.hais.images=100
```

`IS beside HAIS` is importance sampling on the very images of HAIS. What lies between these two columns is what it
misses in expectation at least, and more where HAIS has untrusted images as well. The column `test NLL, IS` is of other
images, and is not to be compared with HAIS.

## The report

One page that opens offline: leaderboard, learning curves, what mattered, pictures, and what it ran on.

```console
$ iafsweep-sweep report runs/depth
```

## Use the model

The best trial as one folder, with a card that says what it is and how its figures were measured:

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

New images, test images, and their reconstructions, a row each:

![New images from the best model, test images and their reconstructions](figures/tutorial.png)

## Your own images

A folder `drawings` holds 240 drawings of letters, twelve of the Balinese alphabet in twenty hands (of OMNIGLOT by
B. Lake, MIT licence): PNG files, 105 x 105, black on white. `own_images.toml` is shipped; a copy is where to change
what your own images need. Here two options do: where they are, and that black is to be white. `preview` reads the
images, says what it found, and how many go where:

```console
$ ls drawings
$ iafsweep-sweep preview own_images --data-path drawings --set data.invert=true --count 2
```

```console
$ iafsweep-sweep launch own_images --data-path drawings --set data.invert=true --trials 4 --name letters
```

So few images teach little, and 24 test images tell models apart only roughly, as the errors say. The sweep keeps
checksums of the images: who goes on with it, or scores it, with others is refused. Its report and exported models do
not say where they lie.

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

Arrays, zip files, sizes, colour, sets with a name: [data.md](data.md).

## Go on

- The same configuration for longer: `iafsweep-run runs/depth/best.toml --run runs/long --set training.epochs=200`
- More trials, the sampler knows what was found: `iafsweep-sweep extend runs/depth --trials +20`
- The best with five seeds each: `iafsweep-sweep retrain runs/depth --top 2 --seeds 5`
- A space of your own: [search_spaces.md](search_spaces.md); all fields: [configuration.md](configuration.md)
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
