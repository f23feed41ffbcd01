"""The best trials again: ``selection`` which ones · ``rerun`` score them · ``retrain`` seeds."""
