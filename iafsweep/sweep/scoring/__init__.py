"""Rescoring the best trials.

``selection`` chooses them · ``rerun`` scores them, at a ``cost``, in processes that each have a ``worker`` ·
``retrain`` trains them again with several seeds.
"""
