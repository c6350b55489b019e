"""What a path says by its text alone."""


def is_inside(path: str, *folders: str) -> bool:
    """Whether a path lies in one of the folders, or is one of them.

    Neither is looked up: where links and ``..`` lead is for the caller to know.
    """
    return any(f"{path}/".startswith(f"{folder.rstrip('/')}/") for folder in folders)
