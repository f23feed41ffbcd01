"""Train one configuration, score it, and print its figures: `python run_single.py --help`."""

from iafsweep.cli.single import main

if __name__ == "__main__":
    main()
