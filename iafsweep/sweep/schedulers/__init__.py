"""Schedulers: ``base`` what one is · ``asha`` stops trials at rungs · ``pbt`` populations, and their copies."""
