"""Machines: what there is, what a trial gets, and Ray on it.

``resources`` nodes and how trials are laid out · ``ray_session`` Ray's start · ``health_check`` whether it can start
and answers · ``shared_folder`` whether all nodes see the sweep · ``process_groups`` signals and Ray's daemons ·
``device`` the one a process is given · ``footprint`` how large configurations are · ``gpu_packing`` `--gpus-per-trial
auto` · ``disk`` its room · ``work_units`` and ``actor_pool`` independent work on many processes.
"""
