"""`python -m voxsms`: the command line."""

import sys

from voxsms.cli import main

sys.exit(main())
