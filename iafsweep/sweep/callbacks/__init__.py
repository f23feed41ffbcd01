"""Who hears of a sweep, and what ends it.

``base`` what there is to hear, and why a sweep ends · ``running`` the trials that run · ``time_left`` of a sweep ·
``progress`` the terminal · ``budget`` when enough is spent, and what scoring costs · ``tracker`` MLflow and wandb.
"""
