"""The leaderboard: made from records alone, so that it can be made again from disk at any time.

``ranking`` the order · ``table`` for terminals · ``markdown`` and ``csv_file`` as files.
"""

from iafsweep.leaderboard.csv_file import leaderboard_frame, write_csv
from iafsweep.leaderboard.markdown import markdown_table, write_markdown
from iafsweep.leaderboard.ranking import best_row, ranked
from iafsweep.leaderboard.table import doubts, leaderboard_table

__all__ = [
    "best_row",
    "doubts",
    "leaderboard_frame",
    "leaderboard_table",
    "markdown_table",
    "ranked",
    "write_csv",
    "write_markdown",
]
