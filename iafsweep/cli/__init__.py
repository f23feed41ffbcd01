"""The two command lines.

``entry`` where both begin · ``single`` and ``train_and_score`` `run_single.py` · ``sweep``, ``sweep_later`` the
commands of `run_sweep.py`, ``options`` what they share · the work behind these: ``drive``, ``again`` begin or take up a
sweep, ``see_through`` brings it to its end, ``manage`` looks at it, ``compare``, ``report``, ``export_model`` ·
``tracking`` MLflow and wandb · ``tables``, ``progress`` what is shown · ``errors`` how a command ends · ``printable``
what no terminal can refuse · ``command_line`` the words that call it again.
"""
