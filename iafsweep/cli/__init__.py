"""The two command lines, clients of ``api``.

``entry`` where both begin · ``single`` `run_single.py` · ``sweep`` registers the commands of `run_sweep.py`, which are
in ``commands``, and the options they share in ``options`` · ``sweep_output`` what is printed while a sweep runs ·
``tracking`` MLflow and wandb · ``tables`` what is shown at the end, ``console`` where · ``errors`` how a command ends.
"""
