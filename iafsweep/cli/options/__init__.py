"""Options that commands share, a group a file.

``ray`` on what a sweep runs · ``hais``, ``until_error`` how it is scored · ``tracker``, ``version`` · ``completion``
for shells.
"""
