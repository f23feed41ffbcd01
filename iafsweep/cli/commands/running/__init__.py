"""Commands that begin a sweep, go on with it or end it.

``launch``, ``resume``, ``extend``, ``retry``, ``stop`` · ``rerun`` scores the best trials again · ``retrain`` trains
them again.
"""
