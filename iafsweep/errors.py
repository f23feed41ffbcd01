"""Errors that are the user's to mend: shown as one message, without a traceback."""


class UserError(Exception):
    """Something outside the program is wrong: a file, an option, a machine.

    The message names what was wrong, what was found and what to do. Command lines print it and exit with 2.
    """


class ConfigError(UserError, ValueError):
    """A configuration file, an override or a search space breaks a rule."""


class PluginError(UserError):
    """A plugin cannot be loaded, or something needs one that is not."""


class DataError(UserError):
    """A data set is missing, truncated or not the one it claims to be."""


class RunFolderError(UserError):
    """A run folder or one of its files (checkpoint, metrics) cannot be used as asked."""


class SweepError(UserError):
    """A sweep cannot start, go on or be read as asked."""
