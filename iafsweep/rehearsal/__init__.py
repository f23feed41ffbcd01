"""Rehearsal of a sweep: real samplers and schedulers on a simulated clock, with curves recorded by an earlier sweep.

``curves`` the recorded learning curves · ``features`` configurations as points with meaningful distances ·
``regression`` figures at any point · ``surrogate`` the predicted curve of any configuration · ``sweep`` a sweep without
a folder, its ledger in memory · ``clock`` simulated workers and faults · ``comparison`` what each sampler and scheduler
would have found, and at what cost.
"""
