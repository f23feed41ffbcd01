"""The search itself, measured.

``record`` a space · ``compare`` what searches find on it, ``two_objectives`` what fronts · ``pbt`` what populations do
· ``scale`` to thousands. Of use to these: ``table`` a recorded space · ``rows`` of files that processes share ·
``trees`` another surrogate · ``peers`` by their own code.
"""
