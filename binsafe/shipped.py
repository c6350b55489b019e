"""Where `profiles/` lies: inside the wheel as ``binsafe/_profiles``, beside the package in a checkout."""

from pathlib import Path


def shipped(folder: str) -> Path:
    """A folder of it."""
    package = Path(__file__).parent
    installed = package / "_profiles"
    return (installed if installed.is_dir() else package.parent / "profiles") / folder
