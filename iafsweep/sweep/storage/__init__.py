"""What a sweep keeps on disk.

``events`` the rows of a ledger · ``ledger`` the file · ``state`` what its rows come to · ``folder`` names and the
driver's lock · ``stored_sweep`` a sweep read back · ``environment`` what a driver ran on · ``trial_report`` what a
trial says after each epoch.
"""
