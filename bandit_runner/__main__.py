"""``python -m bandit_runner``."""

from bandit_runner.cli import main

main()
