"""How far a sampler is that takes many passes of its networks."""

from collections.abc import Callable

Passes = Callable[[int, int], None]
"""Hears, after each pass of a network, how many are done and of how many."""
