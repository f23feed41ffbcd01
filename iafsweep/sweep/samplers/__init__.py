"""Samplers: which configuration to try next, as a function of the space, its seed and the ledger.

``base`` what one is · ``build`` the registry · ``sequences`` random, quasi-random (Sobol), grid and listed · those that
learn from trials: ``learning`` what they have in common, ``tpe`` the tree-structured Parzen estimator, ``gp`` a
Gaussian process, ``cmaes`` covariance matrix adaptation, ``nsga2`` a genetic algorithm for two objectives ·
``auto`` the process while trials are few, the estimator after ·
``optuna_study`` trials as Optuna is told of them · ``estimates`` what unfinished bounds would have come to ·
``generations`` which generation a trial is of · ``warm_start`` what an earlier sweep found.
"""
