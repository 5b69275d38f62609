"""`python -m info_nce` is `info-nce`."""

import sys

from info_nce.cli import main

if __name__ == "__main__":
    sys.exit(main())
