"""Who hears of a sweep.

``base`` what there is to hear · ``progress`` the terminal · ``budget`` when enough is spent · ``tracker`` MLflow and
wandb · ``optuna_journal`` a file for Optuna's dashboard.
"""
