"""A driver in Ray Tune's own words.

``driver`` begins a sweep or goes on with it · ``options`` on what · ``session`` one driver's training ·
``tune_config`` how Tune is set up · ``searcher``, ``scheduler``, ``stopper``, ``ledger_callback`` its parts over the
ledger · ``trial_run``, ``trainable`` one trial.
"""
