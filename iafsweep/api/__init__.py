"""Everything a user can do, as functions that print nothing unless asked and never exit; they report to ``news``.

``train`` one configuration · ``spaces`` configurations and search spaces · ``run`` a trained model and ``sweep`` a
sweep: read, continue and score them · ``several`` sweeps on one leaderboard · ``rehearse`` sweeps before they begin ·
below them, also for the command line: ``launch`` starts or continues a sweep, with ``settings``; ``rerun`` scores its
best trials; ``results`` export, compare, report; ``own_images`` your own images; ``scoring/`` likelihoods; ``shown/``
displays of progress.
"""
