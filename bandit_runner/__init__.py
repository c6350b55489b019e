"""bandit_runner: thirty flaky servers in binsafe's sandbox, a load balancer in front, bandit strategies inside it.

Uses binsafe's public API only.
"""
