"""Schedulers: ``asha`` stops trials at rungs · ``pbt`` population-based training, ``pbt_exploit`` its copies."""
