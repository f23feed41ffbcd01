"""Sweeps: many trials of one search space, on as many machines as there are. Seven subpackages, lowest first.

``storage`` the ledger and the sweep folder · ``samplers`` propose configurations · ``schedulers`` decide who stops and
who copies whom · ``cluster`` Ray's start, machines, devices, a pool of actors · ``scoring`` the best trials scored
again · ``callbacks`` what follows a sweep, and what ends it · ``tune`` the driver, built on Ray Tune.

Import what you need from the module itself: some are slow to import.
"""
