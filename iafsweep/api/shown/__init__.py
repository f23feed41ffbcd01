"""Show users the progress of runs and sweeps.

``runs`` and ``sweeps`` show the progress of each · ``progress`` bars and lines · ``html`` tables for notebooks ·
``faults`` of disks, as one message · ``command`` that makes a report.
"""
