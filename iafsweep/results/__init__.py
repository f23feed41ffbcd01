"""What a sweep and a run came to, read back from disk.

``leaderboard_rows`` a row a trial · ``publish`` leaderboard and best configuration as files · ``status`` how a sweep
stands · ``listing`` the sweeps of a folder · ``several`` sweeps as one · ``comparison`` of two models on the same
images · ``model_folder`` a model as one folder to keep, ``export`` written, with its card · ``optuna_journal`` a sweep
for optuna-dashboard.
"""
