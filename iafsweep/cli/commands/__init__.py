"""The commands of `run_sweep.py`, a file each: its options, and what it prints.

``preview`` a space · ``launch`` a sweep · ``resume``, ``extend``, ``retry``, ``retrain`` take it up again · ``rerun``
scores its best again · ``export``, ``export_model``, ``compare``, ``report`` what it came to · ``status``, ``stop``,
``logs`` while it runs.
"""
