"""Options that several commands have, read in one way."""

import math
from pathlib import Path
from typing import Any

import click
import msgspec

from bandit_runner.model import MAX_PORT


class File(click.Path):
    """A path. An empty one, which `pathlib` takes for the current folder, names no file."""

    def __init__(self, *, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if value == "":
            self.fail('an empty path names no file; is a "$VARIABLE" not set?', param, ctx)
        return super().convert(value, param, ctx)


class Seed(click.IntRange):
    """Of servers, which the stand-in takes as a whole number of 64 bits, 0 being none; help shows no such end."""

    def __init__(self) -> None:
        super().__init__(min=1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        seed = super().convert(value, param, ctx)
        if seed >= 2**63:
            self.fail(f"{value} has more than 63 bits.", param, ctx)
        return seed


class Rate(click.FloatRange):
    """Requests a second: no fewer than in a scenario, and as many as one machine could be asked for."""

    def __init__(self) -> None:
        super().__init__(min=1e-3, max=10_000)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; ``nan``, which is not outside of any range, is none."""
        rate = super().convert(value, param, ctx)
        if math.isnan(rate):
            self.fail(f"{value} is no rate.", param, ctx)
        return rate


def named_value(text: str) -> tuple[str, Any]:
    """NAME=VALUE; the value is JSON where it can be read as such (numbers, lists), else text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--option")
    try:
        return name, msgspec.json.decode(value.encode())
    except msgspec.DecodeError:
        return name, value


def address(text: str, option: str) -> tuple[str, int]:
    """HOST:PORT, an IPv6 address in brackets; also as the http:// address that the balancer prints."""
    host, _, port = text.removeprefix("http://").removesuffix("/").rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port[:6]) <= MAX_PORT:
        raise click.BadParameter(f"{text!r} is not HOST:PORT", param_hint=option)
    return host.strip("[]"), int(port)


def strategy_names(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """What a shell completes a strategy's name to."""
    from bandit_runner.strategies import STRATEGIES

    several = () if context.info_name == "balancer" else ("all",)
    return [name for name in (*STRATEGIES, *several) if name.startswith(begun)]
