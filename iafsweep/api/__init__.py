"""What a user can do, as functions that print nothing and exit nothing; they tell ``news`` what there is to hear.

``train`` one configuration · ``launch`` a sweep, or take one up again · ``rerun`` the scoring of its best · ``results``
export, compare, report · ``run`` a trained model and ``sweep`` a sweep, read back · ``several`` sweeps on one
leaderboard · ``own_images`` images of one's own.
"""
