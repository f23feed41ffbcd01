"""Sweeps: many trials of one search space, on as many machines as there are. Seven rooms, the lowest first.

``storage`` the ledger and the sweep folder · ``samplers`` who proposes · ``schedulers`` who stops, who copies whom ·
``cluster`` Ray's start, machines, devices, a pool of actors · ``scoring`` the best again · ``callbacks`` who hears of
it · ``tune`` a driver in Ray Tune's own words.

Import what you need from the module itself: some are slow to import.
"""
