"""Machines: what they offer, what a trial gets, and Ray on them.

``resources`` nodes and the layout of trials · ``ray_session`` Ray's start · ``health_check`` whether Ray can start, a
cluster answers, and all nodes see the sweep · ``device`` the device of a process · ``footprint`` sizes of trials, and
free disk space · ``gpu_packing`` `--gpus-per-trial auto` · ``actor_pool`` work on many processes.
"""
