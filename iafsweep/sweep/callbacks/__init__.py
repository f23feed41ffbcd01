"""Who hears of a sweep, and what ends it.

``base`` what there is to hear, and why a sweep ends · ``progress`` the terminal · ``budget`` when enough
is spent, and what scoring costs · ``tracker`` MLflow and wandb · ``optuna_journal`` a file for Optuna's dashboard.
"""
