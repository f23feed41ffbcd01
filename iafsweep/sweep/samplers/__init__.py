"""Samplers: which configuration to try next, as a function of the space, its seed and the ledger.

``base`` what one is · ``build`` the registry · ``sequences`` random, quasi-random (Sobol), grid and listed · ``tpe``
the tree-structured Parzen estimator · ``optuna_study`` trials as Optuna is told of them · ``warm_start`` what an
earlier sweep found.
"""
