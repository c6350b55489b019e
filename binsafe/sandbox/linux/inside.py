"""What the program in a sandbox sees of itself and of its host. Imports nothing: it is on the way of every start."""

HOSTNAME = "sandbox"
"""What the program hears of the host's name."""

INSIDE_ID = 1000
"""The user and the group that the program is inside: ordinary ones, never 0, and no others."""
