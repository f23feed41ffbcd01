"""Sweeps: many trials of one search space, on as many machines as there are. The only folder that imports Ray.

- What is searched: ``space``, ``space_file``, ``settings``, ``ranges``, ``when``, ``conditions``, ``rules``,
  ``first_points``, ``keys``, ``suggest``, ``sizes``, ``preview``, ``procedure``
- What happened: ``rows``, ``state``, ``ledger``, ``folder``, ``stored``, ``standing``, ``environment``, ``best``,
  ``board``, ``results``, ``epoch_cost``
- Who proposes, who stops, who copies whom: ``proposals``, ``tpe``, ``quasi_random``, ``warm_start``, ``rungs``,
  ``population``, ``exchange``
- A driver: ``tuner``, ``session``, ``options``, ``outcome``, ``signals``, ``budget``, ``disk``, ``audience``,
  ``progress``, ``journal``, ``tracked``
- Under Ray: ``cluster``, ``joining``, ``own_groups``, ``storage``, ``packing``, ``tune_setup``, ``searcher``,
  ``scheduler``, ``recorder``, ``stopping``, ``trial``, ``report``, ``gpu``, ``faults``, ``shared``
- After it: ``units``, ``rerun``, ``rerun_cost``, ``finalists``, ``retry``, ``retrain``

Import what you need from the module itself: some are slow to import.
"""
