"""A sweep rehearsed: real samplers and schedulers on a simulated clock, over curves that were recorded before.

``curves`` what was recorded · ``features`` values as numbers that distances mean something between · ``regression``
figures of any point, from those of some · ``surrogate`` the curve of any configuration, from those · ``sweep`` a sweep
without a folder: its ledger in memory · ``clock`` workers, and what goes wrong with them · ``comparison`` what each
sampler and scheduler would have found, for what cost.
"""
