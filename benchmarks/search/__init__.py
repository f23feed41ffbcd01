"""The search itself, measured.

``record`` a space · ``compare`` what searches find on it · ``pbt`` what populations do · ``scale`` to thousands.
"""
