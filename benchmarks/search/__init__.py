"""The search itself, measured: ``record`` a space, ``compare`` what searches find on it, ``scale`` to thousands."""
