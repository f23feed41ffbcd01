"""Benchmarks behind the figures in the documentation; run them from the root of the repository."""
