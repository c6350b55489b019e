"""Facts: Subject (a slice and what is known of it) -> typed things with evidence, format-blind.

    subject        what extractors read (Subject) and give back (Extracted)
    language       what it was written in, by what runtimes leave behind (runtimenames, texts)
    build          who made it with what: gobuild, rustaudit, header facts
    signature      who signed it
    entitlements   what macOS would let it do beyond that
    network        what it can do there, and where
    capabilities   the same for all else (packing: its layout; codemaking: memory that can be executed)
                   both rest on claims; networknames and capabilitynames say which names mean what (vocabulary)
    linking        the loader and the libraries that it is linked with when it starts
    syscalls       what it asks of the kernel
    hardening      which mitigations it was built with

``strings`` and its ``addresses`` are a fact of the whole artifact, not of a slice: inspection asks for it by itself.

A new kind of fact is one new file and one line in ``EXTRACTORS``; its name is the field of the report that it fills.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from binsafe.extractors import (
    build,
    capabilities,
    entitlements,
    hardening,
    language,
    linking,
    network,
    signature,
    syscalls,
)
from binsafe.extractors.subject import Extracted, Subject

__all__ = ["EXTRACTORS", "Extracted", "Extractor", "Subject"]

Extractor = Callable[[Subject], Extracted[Any]]

EXTRACTORS: Mapping[str, Extractor] = MappingProxyType(
    {
        "language": language.extract,
        "signature": signature.extract,
        "entitlements": entitlements.extract,
        "entitlements_source": entitlements.extract_source,
        "network": network.extract,
        "capabilities": capabilities.extract,
        "syscalls": syscalls.extract,
        "hardening": hardening.extract,
        "build": build.extract,
        "interpreter": linking.extract_interpreter,
        "resolved": linking.extract_resolved,
    }
)
"""Field of :class:`binsafe.model.SliceReport` -> what fills it, in the order of the report."""
