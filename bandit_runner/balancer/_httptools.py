"""The one door to httptools (llhttp, Node's parser): whoever needs it imports it from here.

Raises MissingExtra, which names the extra to install, instead of an ImportError.
"""

from bandit_runner.errors import MissingExtra

try:
    import httptools
except ImportError as error:
    raise MissingExtra("the balancer and the harness need httptools", extra="bandit") from error

__all__ = ["httptools"]
