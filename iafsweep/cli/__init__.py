"""The two command-line programs, built on ``api``.

``entry`` starts both · ``single`` is `run_single.py` · ``sweep`` registers the commands of `run_sweep.py`, which are in
``commands``; the options they share are in ``options`` · ``sweep_output`` prints what happens while a sweep runs ·
``tracking`` sends runs to MLflow and wandb · ``tables`` prints results, ``console`` chooses where · ``errors`` turns
errors into messages and exit codes.
"""
