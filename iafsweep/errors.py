"""Errors that the user can fix; they are shown as one message, without a traceback."""


class UserError(Exception):
    """Something outside the program is wrong, such as a file, an option or the machine.

    The message says what was wrong, what was found and what to do. Command lines print it and exit with 2.
    """


class ConfigError(UserError, ValueError):
    """A configuration file, an override or a search space breaks a rule."""


class PluginError(UserError):
    """A plugin cannot be loaded, or a required plugin is not loaded."""


class DataError(UserError):
    """A data set is missing, truncated or not what it claims to be."""


class RunFolderError(UserError):
    """A run folder or one of its files (checkpoint, metrics) cannot be used as asked."""


class SweepError(UserError):
    """A sweep cannot be started, resumed or read as asked."""
