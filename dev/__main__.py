"""Which commands does `python -m dev` offer?"""

import sys

from dev.commands import main

if __name__ == "__main__":
    sys.exit(main())
