"""Work done in a thread while the command goes on, for what leaves the interpreter free: copying, hashing."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_background(action: Callable[[], T]) -> Callable[[], T]:
    """Start an action in a thread; returns a function that waits for it and returns, or raises, what the action did."""
    results: list[T] = []
    errors: list[Exception] = []

    def act() -> None:
        try:
            results.append(action())
        except Exception as error:  # noqa: BLE001 - raised where the result is asked for
            errors.append(error)

    thread = threading.Thread(target=act, name="binsafe-beside", daemon=True)
    thread.start()

    def outcome() -> T:
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    return outcome
