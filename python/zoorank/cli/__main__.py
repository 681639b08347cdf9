"""``python -m zoorank.cli``."""

import sys

from zoorank.cli import main

if __name__ == "__main__":
    sys.exit(main())
