"""Schedulers: ``asha`` stops trials at rungs · ``pbt`` population-based training, and its copies."""
