"""Options that commands share, a group a file.

``groups`` how a command takes several, `--version` and `--plugin` · ``sweep`` which, how far and with what share of a
machine · ``ray`` on what, and `--tracker` · ``scoring`` how it is scored.
"""
