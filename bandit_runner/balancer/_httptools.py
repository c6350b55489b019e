"""The one door to httptools (llhttp, Node's parser): whoever needs it imports it from here.

Raises MissingExtra, which names the extra to install, instead of an ImportError.
"""

from typing import Final

from bandit_runner.errors import MissingExtra

try:
    import httptools
except ImportError as error:
    raise MissingExtra("the balancer and the harness need httptools", extra="bandit") from error

__all__ = ["VERSIONS", "httptools"]

VERSIONS: Final = frozenset({"1.0", "1.1"})
"""What is spoken here. llhttp reads 0.9 and 2.0 as if they were: of another major version nothing is to be understood
(RFC 9110, section 2.5)."""
