"""Commands that show or export results and train nothing.

``data`` lists data sets · ``preview`` shows a search space, ``rehearse`` simulates sweeps of it · ``list`` lists the
sweeps in a folder · ``status`` and ``logs`` follow a sweep · ``compare``, ``export`` and ``report`` show its results ·
``export_model`` writes one of its models.
"""
