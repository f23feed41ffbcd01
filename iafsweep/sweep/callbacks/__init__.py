"""Callbacks of a sweep, and what ends it.

``base`` the interface, and why a sweep ends · ``running`` the running trials · ``time_left`` of a sweep ·
``progress`` on the terminal · ``budget`` its limits, and the cost of scoring · ``tracker`` MLflow and wandb.
"""
