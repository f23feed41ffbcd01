"""Commands that show or hand on what there is, and train nothing.

``data`` the sets there are · ``preview`` a search space, ``rehearse`` sweeps of it · ``list`` the sweeps of a folder ·
``status``, ``logs`` one of them as it goes · ``compare``, ``export``, ``report`` what it came to · ``export_model`` a
model of it.
"""
