"""The files of a run folder, without PyTorch: ``run_folder`` paths and records, ``metrics_file`` epochs."""
