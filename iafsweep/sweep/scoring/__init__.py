"""Rescoring the best trials: ``selection`` chooses · ``rerun`` scores · its ``cost`` · ``retrain`` with seeds."""
