"""The driver of a sweep, built on Ray Tune.

``driver`` starts or resumes a sweep · ``options`` its resources · ``searcher``, ``scheduler`` (and stopper),
``ledger_callback`` connect Tune to the ledger · ``trial_run`` one trial, ``trainable`` trials in one process.
"""
