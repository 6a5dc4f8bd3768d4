"""Entry point of ``python -m fitdiff``."""

import sys

from fitdiff.cli import main

if __name__ == "__main__":
    sys.exit(main())
