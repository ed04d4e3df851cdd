"""Errors that end a command with one line and an exit code, never a traceback."""


class ExperimentError(Exception):
    """A command cannot go on; the message says what to do."""

    exit_code = 1


class UsageError(ExperimentError):
    """What the user gave cannot be used: a file, a key, a folder."""

    exit_code = 2


class RunError(ExperimentError):
    """A run that started correctly failed, for instance by diverging."""

    exit_code = 1
