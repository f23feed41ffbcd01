"""Sweep configurations with Ray Tune and export a leaderboard: `python run_sweep.py --help`."""

from iafsweep.cli.sweep import main

if __name__ == "__main__":
    main()
