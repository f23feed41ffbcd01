"""What a run folder holds and where, without PyTorch: ``run_folder`` names and records, ``metrics_file`` epochs."""
