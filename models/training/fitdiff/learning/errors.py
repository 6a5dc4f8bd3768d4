"""The error that the recipe's commands report without a traceback."""

from fitdiff.errors import FitDiffError


class RecipeError(FitDiffError):
    """Something that the person who runs the recipe can put right; the message says what and how."""
