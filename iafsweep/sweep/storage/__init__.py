"""What a sweep keeps on disk.

``events`` the rows of a ledger · ``ledger`` the file · ``state`` the state that its rows describe · ``folder`` paths
and the driver's lock · ``stored_sweep`` a sweep read back · ``environment`` what a driver ran on · ``trial_report``
what a trial reports after each epoch.
"""
