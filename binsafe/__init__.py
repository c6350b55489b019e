"""binsafe: look at an executable without running it, derive the least it needs, and run it under exactly that.

The public API is what this module names; everything else may change. Names are loaded when first used, so that
``import binsafe`` costs nothing.
"""

__version__ = "0.1.0"
