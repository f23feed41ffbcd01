"""Schedulers: decide which trials train past an epoch.

``base`` the interfaces · ``asha`` stops trials at rungs · ``promotion`` the same, and lets some continue later ·
``hyperband`` successive halving in brackets · ``median`` the median stopping rule · ``pbt`` population-based training.
"""
