"""Measurements that the documentation shows; run from the root of the repository."""
