"""The two command lines.

``entry`` where both begin · ``single`` and ``train_and_score`` `run_single.py` · ``sweep``, ``sweep_later`` the
commands of `run_sweep.py`, ``sweep_options`` what they share · the work behind these: ``drive``, ``again`` begin or
take up a sweep, ``see_through`` brings it to its end, ``manage`` looks at it, ``compare``, ``report``,
``export_model`` · ``machine`` on what they run · ``hais_option``, ``until_error_option``, ``tracker_option``,
``version_option`` options with work behind them · ``publish``, ``tables``, ``progress`` what is shown · ``exits``,
``faults``, ``interrupts``, ``leaving`` how a command ends · ``printable`` what no terminal can
refuse · ``completion`` for shells.
"""
