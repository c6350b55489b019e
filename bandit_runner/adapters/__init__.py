"""Our strategies and scenarios in the shapes that other libraries know. None of them is needed to import this package.

    shapes.py        strategy -> river's bandit policy (pull, update), MABWiser's (fit, partial_fit, predict)
    environment.py   scenario -> gymnasium environment; needs the extra ``gym``

>>> from bandit_runner.strategies import create
>>> policy = Policy(create("v4", arms=2, seed=1), ["a", "b"])
>>> for _ in range(20):
...     policy.update("a", 0.0)
...     policy.update("b", 1.0)
>>> policy.pull(["a", "b"])
'b'
"""

from typing import TYPE_CHECKING

from bandit_runner.adapters.shapes import MAB, Policy
from binsafe.lazy import lazily

if TYPE_CHECKING:
    from bandit_runner.adapters.environment import TierEnv

__all__ = ["MAB", "Policy", "TierEnv"]

__getattr__ = lazily(__name__, {"TierEnv": "environment"})
"""What needs the extra is loaded when it is asked for."""
