"""Errors that a person can act upon; the command line prints their text without a traceback."""


class FitDiffError(Exception):
    """Base of all errors whose message says what was expected, what was found and what to do."""


class SourceDataError(FitDiffError):
    """The MakeHuman source folder is missing, incomplete or corrupt."""


class DatasetError(FitDiffError):
    """A data set folder or shard does not match its description, or could not be written."""


class TemplateError(FitDiffError):
    """A template head file does not match its description."""
