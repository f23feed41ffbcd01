"""The leaderboard. It is made from records alone, so it can be rebuilt from disk at any time.

``ranking`` orders the trials · ``winners_curse`` estimates by how much the best bound is too good · ``table`` makes the
table for people · ``files`` writes Markdown and CSV.
"""

from iafsweep.leaderboard.files import leaderboard_frame, markdown_table, write_csv, write_markdown
from iafsweep.leaderboard.ranking import best_row, ranked
from iafsweep.leaderboard.table import doubts, leaderboard_table
from iafsweep.leaderboard.winners_curse import curse_note, winners_curse

__all__ = [
    "best_row", "curse_note", "doubts", "leaderboard_frame", "leaderboard_table", "markdown_table", "ranked",
    "winners_curse", "write_csv", "write_markdown",
]  # fmt: skip
