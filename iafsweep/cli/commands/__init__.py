"""The commands of `run_sweep.py`, one a file: its options, its help, and its client of ``api``.

``running`` what begins, steers and scores sweeps · ``reading`` what shows or hands on what there is.
"""
