"""Caps for hostile input, in one place: bytes, entries, seconds and memory that one artifact may cost us.

A cap that is reached is a finding or an error, never a silent cut.
"""

MAX_ARTIFACT_BYTES = 2 * 1024**3
"""Largest file that is looked at; the largest real program met is 150 MB."""

MAX_SLICES = 20
"""Slices of a universal Mach-O. ``CAFEBABE`` is Java's magic too: a larger count means a class file."""

MAX_SEGMENTS = 4_096
MAX_SECTIONS = 65_536
MAX_SYMBOLS = 2_000_000
MAX_UNWOUND = 2_000_000
"""Functions that the unwinder is told of; Node.js has 130,000."""

MAX_EVIDENCE = 8
"""Places shown per claim; the total stands beside them."""

WORKER_SECONDS = 120
"""CPU time that the parsing process may take."""

WORKER_BYTES = 4 * 1024**3
"""Address space that the parsing process may take; the artifact itself may be half of it."""

WORKER_KEPT_BYTES = 384 * 1024**2
"""Memory that a parsing process may have taken at its peak and still be given another file."""

MAX_REPORT_BYTES = 16 * 1024**2
"""Largest report that is accepted from the parsing process."""

MAX_LAST_WORDS_BYTES = 64 * 1024
"""What the parsing process may say of its end."""

MAX_SAVED_REPORT_BYTES = 32 * 1024**2
MAX_SAVED_REPORT_VALUES = 2_000_000
"""Largest report that is read back from a file, and the values in it: each may cost a hundred bytes of memory."""

MAX_INSTRUCTIONS = 20_000_000
"""Instructions that the system-call analysis decodes before it says 'not complete'."""

MAX_LIBRARIES = 1_000
"""Libraries of one program's closure; a desktop's largest programs have 300."""

MAX_NAMED_FOLDERS = 1_000
"""Folders named in a file, and in a program with its libraries, that are looked into for modules."""

MAX_MODULES = 300
MAX_MODULE_BYTES = 64 * 1024**2
MAX_MODULE_ENTRIES = 20_000
"""Modules of one program that are taken from such folders, their bytes, and names that are looked at for them."""

MAX_OUTPUT_BYTES = 300_000
"""Largest output of any kind, unless more was asked for (``-v``)."""

MAX_MEMBERS = 256
"""Executables of a bundle that are looked at, and of an archive that its report shows."""

MAX_BUNDLES = 256
"""Bundles inside a bundle that are looked at."""

MAX_TREE_ENTRIES = 200_000
"""Names in a folder that is given as a bundle; the largest real application met has 60,000."""

MAX_FOLDERS_DEEP = 256
"""Folders in each other of what is granted: to open each by its path takes time that grows with the square of it."""

MAX_UNPACKED_BYTES = 2 * 1024**3
MAX_UNPACKED_RATIO = 100
MIN_UNPACKED_BYTES = 256 * 1024**2
"""An archive may unpack to this, or to its size times the ratio if that is more, or to the maximum if that is less."""

MAX_ENTRIES = 500_000
"""Entries of an archive, those of archives inside of it included; a large root file system has 300,000."""

MAX_NAME_BYTES = 4096
"""Longest name of an entry: Linux's PATH_MAX, which is larger than that of macOS."""

MAX_MEMBER_BYTES = 256 * 1024**2
"""Largest file inside an archive that is looked at: it is unpacked to memory."""

MAX_ARCHIVE_DEPTH = 4
"""Archives inside archives."""

MAX_BUNDLE_BYTES = 512 * 1024**2
"""Bytes of the bundles in an archive, which are kept until all of them are there."""

ARCHIVE_SECONDS = 80
"""CPU time after which no further member of an archive is looked at, so that what was found is still reported."""

MAX_STRINGS = 50
MAX_STRINGS_COUNTED = 20_000
MAX_STRINGS_MET = 500_000
"""Texts of each kind that are shown, that are kept to be counted once each, and after which no more are looked for."""

MAX_CANDIDATES = 10_000
"""Places in a mebibyte that are looked at for an address: tables of numbers have many that look like one."""

MAX_SUMMARY_BYTES = 64 * 1024**2
"""Largest summary of one library that is kept; the C library's has 0.25 MB, libLLVM's 10."""

MAX_CACHE_BYTES = 512 * 1024**2
"""All summaries that are kept together."""
