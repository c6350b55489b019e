"""Makes the helpers beside this file importable from all folders below: pytest puts a conftest's folder on the path."""
