"""Machines: what there is, what a trial gets, and Ray on it.

``resources`` nodes and how trials are laid out · ``ray_session`` Ray's start · ``health_check`` whether it can start
and answers, and all nodes see the sweep · ``device`` the one a process is given · ``footprint`` how large trials are,
and the room there is · ``gpu_packing`` `--gpus-per-trial auto` · ``actor_pool`` work on many processes.
"""
