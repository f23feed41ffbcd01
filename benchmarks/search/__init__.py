"""Benchmarks of the search.

Scripts: ``record`` records a space · ``compare`` compares searches on it · ``two_objectives`` compares Pareto fronts ·
``pbt`` measures population-based training · ``scale`` drives thousands of trials. They share ``table``, a recorded
space · ``rows``, files that several processes write · ``trees``, a second surrogate · ``peers``, other programs'
searches.
"""
