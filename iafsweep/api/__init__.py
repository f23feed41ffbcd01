"""What a user can do, as functions that print nothing unless asked and exit nothing; they tell ``news`` what is heard.

``train`` one configuration · ``spaces`` configurations and search spaces · ``run`` a trained model and ``sweep`` a
sweep: read back, gone on with, scored · ``several`` sweeps on one leaderboard · ``rehearse`` sweeps before they begin ·
below them, for the command line too: ``launch`` a sweep, or take one up again, with ``settings``; ``rerun`` the scoring
of its best; ``results`` export, compare, report; ``own_images`` images of one's own; ``scoring/`` · ``shown/`` who
shows what is heard.
"""
