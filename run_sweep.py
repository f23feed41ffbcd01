#!/usr/bin/env python3
"""Sweep configurations with Ray Tune and export a leaderboard: `python run_sweep.py --help`."""

from iafsweep.cli.entry import run_sweep

if __name__ == "__main__":
    run_sweep()
