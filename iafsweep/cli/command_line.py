"""The words that call a command again, and those that make a report again."""

from iafsweep.api.shown.command import report_command
from iafsweep.shown_command import program, this_command

__all__ = ["program", "report_command", "this_command"]
