"""How somebody hears of what runs.

``runs`` and ``sweeps`` show what is heard of them · ``progress`` bars and lines · ``html`` what a notebook shows ·
``faults`` of disks, as one message · ``command`` that makes a report again.
"""
