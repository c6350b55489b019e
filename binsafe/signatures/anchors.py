"""The roots that signatures are traced to, pinned by fingerprint: Apple's, Microsoft's and public authorities'.

``roots.pem`` and ``public.pem`` hold the certificates themselves, because signatures often leave their root out; a
certificate counts only if its SHA-256 fingerprint stands here. ``intermediates.pem`` has the authorities that issue
Developer ID's certificates and Apple's time stamps, for signers who leave those out too; they are believed as far as
the roots vouch for them. Apple publishes the fingerprints at its certificate authority's page, Microsoft in the list of
participants of its root programme. There the public authorities stand as well that Windows believes about code: here
are the ones that issue most of those certificates.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final, Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes

Family = Literal["apple-root", "microsoft-root", "public-root"]

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
        # DigiCert Assured ID, High Assurance EV, Trusted Root G4
        "3e9099b5015e8f486c00bcea9d111ee721faba355a89bcf1df69561e3dc6325c": "public-root",
        "7431e5f4c3c1ce4690774f0b61e05440883ba9a01ed00ba6abd7806ed3b118cf": "public-root",
        "552f7bdcf1a7af9e6ce672017f4f12abf77240c78e761ac203d1d9d20ac89988": "public-root",
        # GlobalSign R1, R3, R6
        "ebd41040e4bb3ec742c9e381d31ef2a41a48b6685c96e7cef3c1df6cd4331c99": "public-root",
        "cbb522d7b7f127ad6a0113865bdf1cd4102e7d0759af635a7cf4720dc963c53b": "public-root",
        "2cabeafe37d06ca22aba7391c0033d25982952c453647349763a3ab5ad6ccf69": "public-root",
        # Sectigo, once Comodo: USERTrust RSA, AAA, COMODO RSA
        "e793c9b02fd8aa13e21c31228accb08119643b749c898964b1746d46c3d4cbd2": "public-root",
        "d7a7a0fb5d7e2731d771e9484ebcdef71d5f0c3e0a2948782bc83ee0ea699ef4": "public-root",
        "52f0e1c4e58ec629291b60317f074671b85d7ea80d5b07273463534b32b40234": "public-root",
        # Entrust G2; SSL.com RSA, EV RSA R2; Certum Trusted Network, 2
        "43df5774b03e7fef5fe40d931a7bedf1bb2e6b42738c4e6d3841103d3aa7f339": "public-root",
        "85666a562ee0be5ce925c1d8890a6f76a87ec16d4d7d5f29ea7419cf20123b69": "public-root",
        "2e7bf16cc22485a7bbe2aa8696750761b0ae39be3b2fe9d0cc6d4ef73491425c": "public-root",
        "5c58468d55f58e497e743982d2b50010b6d165374acf83a7d4a32db768c4408e": "public-root",
        "b676f2eddae8775cd36cb0f63cd1d4603961f49e6265ba013a2f0307b6d0b804": "public-root",
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
    """All roots, and the authorities below them that are known."""
    stored = [files(__package__).joinpath(f"{name}.pem").read_bytes() for name in ("roots", "public", "intermediates")]
    return Anchors(families=PINNED, certificates=tuple(x509.load_pem_x509_certificates(b"\n".join(stored))))
