"""The flaky servers, started through binsafe's sandbox, ready or refused, and stopped whatever happens.

ports      is each port free, and who holds it if not
output     what an untrusted program prints, kept short and shown escaped
running    inspect, derive, launch, wait until all ports are ready, stop
"""

from bandit_runner.servers.running import Servers, start

__all__ = ["Servers", "start"]
