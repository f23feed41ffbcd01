"""The best trials again: ``selection`` which ones · ``rerun`` score them · ``cost`` its time · ``retrain`` seeds."""
