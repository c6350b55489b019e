"""The roots that signatures are traced to: Apple's and Microsoft's, pinned by fingerprint.

``roots.pem`` holds the certificates themselves, because signatures often leave their root out; a certificate counts
only if its SHA-256 fingerprint stands here. ``intermediates.pem`` has the authorities that issue Developer ID's
certificates and Apple's time stamps, for signers who leave those out too; they are believed as far as the roots vouch
for them. Apple publishes the fingerprints at its certificate authority's page,
Microsoft in the list of participants of its root programme.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final, Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes

Family = Literal["apple-root", "microsoft-root"]

PINNED: Final[Mapping[str, Family]] = MappingProxyType(
    {
        # Apple Root CA, G2 and G3
        "b0b1730ecbc7ff4505142c49f1295e6eda6bcaed7e2c68c5be91b5a11001f024": "apple-root",
        "c2b9b042dd57830e7d117dac55ac8ae19407d38e41d88f3215bc3a890444a050": "apple-root",
        "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179": "apple-root",
        # Microsoft Root Authority (1997), Root Certificate Authority (2001), 2010, 2011
        "f38406e540d7a9d90cb4a9479299640ffb6df9e224ecc7a01c0d9558d8dad77d": "microsoft-root",
        "885de64c340e3ea70658f01e1145f957fcda27aabeea1ab9faa9fdb0102d4077": "microsoft-root",
        "df545bf919a2439c36983b54cdfc903dfa4f37d3996d8d84b4c31eec6f3c163e": "microsoft-root",
        "847df6a78497943f27fc72eb93f9a637320a02b561d0a91b09e87a7807ed7c61": "microsoft-root",
        # Microsoft Time Stamp Root 2014, Identity Verification Root 2020, ECC Product Root 2018, ECC TS Root 2018
        "65af95f4be86847344634282f941b2e605063ef0c8542f014ca088d182109e4f": "microsoft-root",
        "5367f20c7ade0e2bca790915056d086b720c33c1fa2a2661acf787e3292e1270": "microsoft-root",
        "caca93b9d23d2b6fa76e8b8471931e0df3ec6f63af3cdbb936c41954a1872326": "microsoft-root",
        "3fd4be8baad2f26e1bde06c7584bb720dd1a972d111f5a4999bc44b08fb4960d": "microsoft-root",
    }
)
"""SHA-256 of a root certificate's DER -> whose root it is."""


class Anchors(msgspec.Struct, frozen=True, kw_only=True):
    """Whom we believe: fingerprints, and the certificates that are known beside those that a signature brings along."""

    families: Mapping[str, Family]
    certificates: tuple[x509.Certificate, ...]

    def family(self, certificate: x509.Certificate) -> Family | None:
        """Whose root a certificate is; None for one that nobody pinned."""
        return self.families.get(certificate.fingerprint(hashes.SHA256()).hex())


@cache
def pinned() -> Anchors:
    """Apple's and Microsoft's roots, and the authorities below them that are known."""
    stored = [files(__package__).joinpath(name).read_bytes() for name in ("roots.pem", "intermediates.pem")]
    return Anchors(families=PINNED, certificates=tuple(x509.load_pem_x509_certificates(b"\n".join(stored))))
