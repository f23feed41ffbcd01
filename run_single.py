#!/usr/bin/env python3
"""Train one configuration, score it, and print its figures: `python run_single.py --help`."""

from iafsweep.cli.entry import run_single

if __name__ == "__main__":
    run_single()
