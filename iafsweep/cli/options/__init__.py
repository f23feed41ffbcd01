"""Options that commands share, one group per file.

``groups`` lets commands take option groups, and has `--version` and `--plugin` · ``sweep`` selects a sweep, its budget
and its share of the machine · ``ray`` selects the Ray cluster, and has `--tracker` · ``scoring`` sets how to score.
"""
