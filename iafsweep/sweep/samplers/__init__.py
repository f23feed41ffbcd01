"""Samplers: propose the next configuration, as a function of the space, its seed and the ledger.

``base`` the interface · ``build`` the sampler of a space · ``sequences`` random, quasi-random (Sobol), grid and listed
· those that learn from trials: ``learning`` their common part, ``tpe`` the tree-structured Parzen estimator, ``gp`` a
Gaussian process, ``cmaes`` covariance matrix adaptation, ``nsga2`` a genetic algorithm for two objectives · ``auto``
`gp` for the first trials, then `tpe` · ``optuna_study`` ledger trials as Optuna trials · ``estimates`` final bounds of
trials that did not complete, estimated · ``generations`` the generation of each trial · ``warm_start`` trials of an
earlier sweep.
"""
