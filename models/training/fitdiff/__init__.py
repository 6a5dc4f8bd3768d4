"""Training side of the facial avatar model: synthetic faces, networks, export and evaluation."""

__version__ = "0.1.0"
