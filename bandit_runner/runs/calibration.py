"""What calibrating says, as ``binsafe.calibration/1``."""

import msgspec


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """One server over one start: ``low`` and ``high`` are Wilson's 95% interval."""

    port: int
    ok: int
    attempts: int
    low: float
    high: float


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that met the same servers: a whole series, or one run of a series whose rates were redrawn between runs."""

    runs: tuple[str, ...]
    rates: tuple[Rate, ...]


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Runs started together on one tier. ``redrawn_p`` is None where one run leaves nothing to compare."""

    tier: str
    runs: tuple[str, ...]
    redrawn_p: float | None
    redrawn: bool
    starts: tuple[Start, ...]


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts that came so many seconds after the one before at the same server, and how many were to be expected."""

    tier: str
    above: float
    below: float | None
    attempts: int
    accepted: int
    expected: float
    p: float


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A rate limit that shows: hits within ``refused_ms`` are refused; from ``free_ms`` on nothing shows."""

    tier: str
    refused_ms: float
    free_ms: float | None


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """The strongest period in one server's outcomes, and how often chance alone has one as strong."""

    tier: str
    port: int
    seconds: float
    p: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Everything; ``rate_limited`` counts recorded 429s, None where the logs do not know them."""

    schema: str = "binsafe.calibration/1"
    runs: int
    attempts: int
    rate_limited: int | None
    series: tuple[Series, ...]
    gaps: tuple[Gap, ...]
    limits: tuple[Limit, ...]
    periods: tuple[Period, ...]
    periodic: bool
    """Whether any period is stronger than chance, all servers looked at counted in."""
