"""`python -m hf_midropout` is `hf-midropout`."""

import sys

from .cli import main


sys.exit(main())
