"""How good a trained model is.

``asked`` with what to score · ``score`` a run on its test images · ``likelihoods`` of images that somebody has at hand.
"""
