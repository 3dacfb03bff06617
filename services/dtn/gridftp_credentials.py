"""Certificates of the Grid Security Infrastructure: the node's own CA, what it issues, whom a server trusts, and delegation.

The CA signs for the servers that this node starts and for the orders that it carries out, nothing else; it lies in the state folder and
its key never leaves it. Keys are RSA: GridFTP servers make the keys of delegated credentials as long as the user's own, and of that kind.
"""

import datetime as dt
import hashlib
import ipaddress
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

CA_LIFETIME = dt.timedelta(days=3650)
LIFETIME = dt.timedelta(days=100)  # a task lasts 90 days at most; its certificate opens nothing but the servers of its order
PROXY_LIFETIME = dt.timedelta(days=7)
SLACK = dt.timedelta(minutes=5)
KEY_BITS = 2048
ORGANIZATION = "causeway"
KEY_BLOCK = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
PROXY_CERT_INFO = ObjectIdentifier("1.3.6.1.5.5.7.1.14")
INHERIT_ALL = bytes.fromhex("300c300a06082b06010505071501")  # RFC 3820, section 3.8: any depth, id-ppl-inheritAll


@dataclass(frozen=True)
class Identity:
    """A certificate and its key in one file each (PEM, 0600)."""

    certificate: Path
    key: Path

    @property
    def name(self) -> str:
        """The subject as grid map files write it."""
        return grid_name(x509.load_pem_x509_certificate(self.certificate.read_bytes()).subject)

    def check(self) -> None:
        """Raise ValueError or OSError unless proxies can be signed with it."""
        x509.load_pem_x509_certificate(self.certificate.read_bytes())
        _load_key(self.key)

    def sign_proxy(self, request: bytes) -> bytes:
        """Return the proxy certificate (DER, RFC 3820) with which whoever made the request (DER) acts for this identity."""
        owner = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        serial = int.from_bytes(os.urandom(4), "big") | 1
        subject = x509.Name([*owner.subject, x509.NameAttribute(NameOID.COMMON_NAME, str(serial))])
        now = dt.datetime.now(dt.UTC)
        builder = _builder(subject, owner.subject, x509.load_der_x509_csr(request).public_key(), serial)  # type: ignore[arg-type]
        builder = builder.not_valid_after(min(owner.not_valid_after_utc, now + PROXY_LIFETIME)).add_extension(_leaf_usage(), critical=True)
        builder = builder.add_extension(x509.UnrecognizedExtension(PROXY_CERT_INFO, INHERIT_ALL), critical=True)
        return builder.sign(_load_key(self.key), hashes.SHA256()).public_bytes(serialization.Encoding.DER)


class GridAuthority:
    """The CA of one node, made when first asked for. Safe to use from any thread."""

    def __init__(self, folder: Path, node_name: str) -> None:
        self._folder = folder
        self._node_name = node_name.lower()
        self._lock = threading.Lock()

    @property
    def file(self) -> Path:
        """Holds the CA's certificate."""
        return self._folder / "ca.pem"

    @property
    def pem(self) -> str:
        """The CA's certificate."""
        with self._lock:
            return self._ca().public_bytes(serialization.Encoding.PEM).decode()

    def host(self, address: str) -> Identity:
        """Return the identity of this node's servers at an address, made anew."""
        return self._issue("host", f"host {address}", x509.SubjectAlternativeName([_general_name(address)]))

    def order(self, order_id: str) -> Identity:
        """Return the identity under which an order is carried out, made anew under the same name."""
        return self._issue(f"order-{order_id}", f"order {order_id}")

    def forget_order(self, order_id: str) -> None:
        (self._folder / f"order-{order_id}.pem").unlink(missing_ok=True)

    def _issue(self, stem: str, common_name: str, *extensions: x509.ExtensionType) -> Identity:
        with self._lock:
            ca, key = self._ca(), self._key("leaf.key")  # one key for all: making an RSA key takes longer than copying a file
            builder = _builder(self._subject(common_name), ca.subject, key.public_key(), x509.random_serial_number())
            builder = builder.not_valid_after(dt.datetime.now(dt.UTC) + LIFETIME).add_extension(_leaf_usage(), critical=True)
            builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            for extension in extensions:
                builder = builder.add_extension(extension, critical=False)
            signed = builder.sign(self._key("ca.key"), hashes.SHA256())
            file = self._folder / f"{stem}.pem"
            write_private(file, signed.public_bytes(serialization.Encoding.PEM))
            return Identity(file, self._folder / "leaf.key")

    def _ca(self) -> x509.Certificate:
        file = self.file
        if not file.exists():
            key = self._key("ca.key")
            name = self._subject(f"gridftp ca {os.urandom(4).hex()}")
            builder = _builder(name, name, key.public_key(), x509.random_serial_number())
            builder = builder.not_valid_after(dt.datetime.now(dt.UTC) + CA_LIFETIME).add_extension(_ca_usage(), critical=True)
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            write_private(file, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return x509.load_pem_x509_certificate(file.read_bytes())

    def _subject(self, common_name: str) -> x509.Name:
        names = ((NameOID.ORGANIZATION_NAME, ORGANIZATION), (NameOID.ORGANIZATIONAL_UNIT_NAME, self._node_name))
        return x509.Name([x509.NameAttribute(*one) for one in (*names, (NameOID.COMMON_NAME, common_name))])

    def _key(self, name: str) -> rsa.RSAPrivateKey:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        file = self._folder / name
        if not file.exists():
            key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
            plain = serialization.NoEncryption()
            write_private(file, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain))
        return _load_key(file)


def write_trust(folder: Path, authorities: list[str]) -> None:
    """Fill the folder where a server looks up CAs (PEM): each under the hash of its name, with a policy: it signs names beside its own."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for pem in authorities:
        subject = x509.load_pem_x509_certificate(pem.encode()).subject
        name, stem = grid_name(subject), subject_hash(subject)
        below = name.rpartition("/CN=")[0]
        (folder / f"{stem}.0").write_text(pem)
        policy = f"access_id_CA X509 '{name}'\npos_rights globus CA:sign\ncond_subjects globus '\"{below}/*\"'\n"
        (folder / f"{stem}.signing_policy").write_text(policy)


def require_authority(pem: str) -> None:
    """Raise ValueError unless this is the certificate of a CA whose name has the form that nodes give theirs: it ends in a policy file."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        subject = certificate.subject
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.InvalidVersion, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        raise ValueError(pem) from error
    is_plain = all(character.isalnum() or character in "-_. =/" for character in grid_name(subject))
    if not is_authority or not is_plain or not grid_name(subject).startswith(f"/O={ORGANIZATION}/OU="):
        raise ValueError(pem)


def grid_name(name: x509.Name) -> str:
    """Return a name in the form of grid map files: `/O=causeway/OU=campus/CN=...`."""
    return "".join(f"/{attribute.rfc4514_attribute_name}={attribute.value!s}" for attribute in name)


def subject_hash(name: x509.Name) -> str:
    """Return what OpenSSL's `X509_NAME_hash` says of a name that is lower case and UTF8String throughout, as the nodes' CAs have it."""
    encoded = name.public_bytes()
    header = 2 if encoded[1] < 0x80 else 2 + (encoded[1] & 0x7F)  # of the outer SEQUENCE, which the hash leaves out
    return f"{int.from_bytes(hashlib.sha1(encoded[header:]).digest()[:4], 'little'):08x}"  # noqa: S324  # names a file


def write_private(file: Path, content: bytes) -> None:
    """Put a file (0600) in its place in one step."""
    partial = file.with_name(file.name + ".new")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as stream:
        stream.write(content)
    partial.replace(file)


def _load_key(file: Path) -> rsa.RSAPrivateKey:
    found = KEY_BLOCK.search(file.read_bytes())
    try:
        key = serialization.load_pem_private_key(found[0] if found else b"", None)
    except TypeError as error:
        raise ValueError("The key of a grid credential is not encrypted.") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("The key of a grid credential is an RSA key.")  # noqa: TRY004  # of what is in a file
    return key


def _builder(subject: x509.Name, issuer: x509.Name, public_key: rsa.RSAPublicKey, serial: int) -> x509.CertificateBuilder:
    start = dt.datetime.now(dt.UTC) - SLACK
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
    return builder.serial_number(serial).not_valid_before(start)


def _leaf_usage() -> x509.KeyUsage:
    others = dict.fromkeys(("content_commitment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"), False)
    return x509.KeyUsage(digital_signature=True, key_encipherment=True, encipher_only=False, decipher_only=False, **others)


def _ca_usage() -> x509.KeyUsage:
    others = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    return x509.KeyUsage(key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False, **others)


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)
