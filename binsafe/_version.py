"""The version, apart from the package's front, so that any module may name it."""

__version__ = "0.1.0"
