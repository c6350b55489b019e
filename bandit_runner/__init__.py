"""bandit_runner: thirty flaky servers in binsafe's sandbox, a load balancer in front, bandit strategies inside it.

Uses binsafe's public names (``binsafe.__all__``), its frame of a command line (`binsafe.cli`) and `binsafe.lazy`.
"""
