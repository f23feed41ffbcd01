"""The best trials again: ``selection`` which ones · ``rerun`` score them · ``cost`` how long · ``retrain`` seeds."""
