"""Measure how good a trained model is.

``asked`` the requested settings · ``score`` a run on its test images · ``likelihoods`` of any images in memory.
"""
