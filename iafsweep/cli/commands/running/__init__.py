"""Commands that start, continue, stop and score a sweep.

``launch``, ``resume``, ``extend``, ``retry``, ``stop`` · ``rerun`` rescores the best trials · ``retrain`` trains them
again with several seeds.
"""
