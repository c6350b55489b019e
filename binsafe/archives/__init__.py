"""Archive -> report: each executable inside is a member with a report of its own; the worst one decides the verdict.

Pure, like :mod:`binsafe.inspection`: names of entries are data, and nothing is written anywhere. What cannot be looked
at is a finding and makes the report one on something that was not analysed; it hides no other member.

    walking     the pass over all entries
    bundlefiles the files of a bundle in an archive, until all are there
    hooks       what a package has run without being asked to
    reporting   findings and the verdict
"""

from binsafe.archives.walking import Watch, inspect, is_archive

__all__ = ["Watch", "inspect", "is_archive"]
