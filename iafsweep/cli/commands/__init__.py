"""The commands of `run_sweep.py`, one per file: its options, its help text, and its calls of ``api``.

``running`` starts, steers and scores sweeps · ``reading`` shows and exports results without training.
"""
