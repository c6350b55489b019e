"""numpy's arrays, as annotations say them: ``numpy.typing`` takes a third of the time that numpy itself takes."""

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

_Scalar = TypeVar("_Scalar", bound=np.generic)

NDArray: TypeAlias = np.ndarray[Any, np.dtype[_Scalar]]
"""Of any shape."""
ArrayLike: TypeAlias = NDArray[Any] | Sequence[int]
"""What numpy's functions on integers take."""
