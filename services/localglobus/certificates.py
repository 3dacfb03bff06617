"""The local certificate authority: makes the certificates of the GCS Managers, and signs those that nodes ask for.

Certificates are made so that strict verifiers accept them (RFC 5280: basic constraints, key usage, key identifiers, names as
subjectAltName): Python's VERIFY_X509_STRICT and Chromium. It signs for loopback names and
for the hosts that `--allow-host` names.
"""

import datetime as dt
import ipaddress
from collections.abc import Collection, Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.localglobus.auth.keys import write_private
from services.localglobus.errors import ApiError
from services.localglobus.node_addresses import canonical

CA_LIFETIME = dt.timedelta(days=3650)
LEAF_LIFETIME = dt.timedelta(days=200)
NAMES = ("localhost",)


class Authority:
    """The CA in a folder: `ca.pem` to trust, `ca.key` (0600). Made when it is not there."""

    def __init__(self, folder: Path, *, allowed_hosts: Collection[str] = ()) -> None:
        self._allowed_hosts = frozenset(allowed_hosts)
        self.path = folder / "ca.pem"
        key_path = folder / "ca.key"
        if not (self.path.exists() and key_path.exists()):
            key = ec.generate_private_key(ec.SECP256R1())
            write_private(key_path, _encode_key(key))
            self.path.write_bytes(_make_ca(key).public_bytes(serialization.Encoding.PEM))
        loaded = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{key_path} does not hold an elliptic curve key")
        self._key = loaded
        self._certificate = x509.load_pem_x509_certificate(self.path.read_bytes())

    @property
    def pem(self) -> str:
        """The CA's certificate."""
        return self.path.read_text()

    def sign(self, csr_pem: str, *, only: str | None = None) -> str:
        """A certificate for the loopback names and allowed hosts that a signing request asks for; with `only` for that host.

        Raises ApiError 400 for any other name or a bad request.
        """
        try:
            request = x509.load_pem_x509_csr(csr_pem.encode())
            wanted = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (ValueError, x509.ExtensionNotFound) as error:
            raise ApiError("BadRequest", "not a certificate signing request with subjectAltName", 400) from error
        hosts = [*wanted.get_values_for_type(x509.DNSName), *map(str, wanted.get_values_for_type(x509.IPAddress))]
        refused = [host for host in hosts if not is_loopback(host) and host not in self._allowed_hosts]
        if only is not None and {canonical(host) for host in hosts} != {only}:
            raise ApiError("BadRequest", f"a certificate is signed for {only}, the host of this url, alone", 400)
        if not request.is_signature_valid or not hosts or refused:
            raise ApiError("BadRequest", f"only loopback names and allowed hosts are signed, not {', '.join(refused) or 'none'}", 400)
        return self._issue(request.public_key(), hosts).public_bytes(serialization.Encoding.PEM).decode()  # type: ignore[arg-type]

    def write_leaf(self, folder: Path, name: str, hosts: Iterable[str]) -> tuple[Path, Path]:
        """`(certificate, key)` files `name.pem` and `name.key` in `folder` for `hosts`, made anew; localhost is always included."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(key.public_key(), [*dict.fromkeys([*hosts, "127.0.0.1", *NAMES])])
        certificate_path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
        write_private(key_path, _encode_key(key))
        certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return certificate_path, key_path

    def _issue(self, public_key: ec.EllipticCurvePublicKey, hosts: list[str]) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        issuer_id = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])]))
            .issuer_name(self._certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + LEAF_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def is_loopback(host: str) -> bool:
    """Is this a name of the machine itself?"""
    if host in NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _make_ca(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    name = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Causeway"), x509.NameAttribute(NameOID.COMMON_NAME, "Causeway local CA (stand-in)")]
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _encode_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
