"""The results of sweeps and runs, read back from disk.

``leaderboard_rows`` one row per trial · ``publish`` leaderboard and best configuration as files · ``status`` the state
of a sweep · ``listing`` the sweeps in a folder · ``several`` sweeps as one · ``comparison`` of two models on the same
images · ``model_folder`` a model as one folder to keep, which ``export`` writes, with its card · ``optuna_journal`` a
sweep for optuna-dashboard.
"""
