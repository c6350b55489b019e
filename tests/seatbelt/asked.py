"""What is asked of a profile, in one line."""

from binsafe.seatbelt import ask, evaluate, read


def verdict(text: str, operation: str, subject: str | None = None, **parameters: str):
    return ask(evaluate(read(text), parameters), operation, subject).verdict
