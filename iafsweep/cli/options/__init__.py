"""Options that commands share, a group a file.

``groups`` how a command takes several · ``sweep`` which, how far and with what share of a machine · ``ray`` on what ·
``scoring`` how it is scored · ``plugin`` of other packages · ``tracker``, ``version`` · ``completion`` for shells.
"""
