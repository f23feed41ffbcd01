"""Sweeps: many trials of one search space, on as many machines as there are. The only folder that imports Ray.

What is searched: ``space``, ``space_file``, ``ranges``, ``when``, ``conditions``, ``rules``, ``settings``, ``keys``,
``suggest``, ``preview`` · what happened: ``rows``, ``state``, ``ledger``, ``folder``, ``board`` · who proposes and who
stops: ``proposals``, ``tpe``, ``quasi_random``, ``rungs`` · under Ray: ``cluster``, ``trial``, ``report``,
``searcher``, ``scheduler``, ``recorder``, ``stopping``, ``signals``, ``own_groups``, ``shared``, ``stored``, ``tuner``,
``outcome``, ``progress`` · scoring the best again: ``rerun``. Import what you need from the module itself: some are
slow to import.
"""
