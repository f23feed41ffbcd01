"""A driver in Ray Tune's own words.

``driver`` begins a sweep or goes on with it · ``options`` on what · ``searcher``, ``scheduler`` (and stopper),
``ledger_callback`` Tune's parts over the ledger · ``trial_run`` one trial, ``trainable`` trials in one process.
"""
