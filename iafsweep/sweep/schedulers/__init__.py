"""Schedulers, which say who goes on past an epoch.

``base`` what one is · ``asha`` stops trials at rungs · ``promotion`` too, and lets some go on later · ``hyperband`` in
brackets of such · ``median`` by the median of the others · ``pbt`` populations, and their copies.
"""
