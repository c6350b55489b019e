"""``python -m binsafe``."""

from binsafe.cli import main

main()
