"""The node's own key, its certificate from control's CA (or given ones), and the TLS contexts that use them."""

import ipaddress
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from services.dtn.tls_contexts import serving_context, trusting_context

RENEW_BEFORE = timedelta(days=2)


class Credentials:
    """The files of one node's TLS identity. `is_given` when the operator brought her own."""

    def __init__(self, state: Path, *, certificate: Path | None = None, key: Path | None = None) -> None:
        self.is_given = certificate is not None and key is not None
        self.certificate = certificate or state / "node.pem"
        self.key = key or state / "node.key"
        self.ca = state / "ca.pem"
        self._serving: SSL.Context | None = None
        self._client: tuple[int | None, ssl.SSLContext] | None = None
        self._trusting: tuple[int | None, SSL.Context] | None = None

    def make_key(self) -> None:
        """Make the private key (P-256, mode 0600) unless there is one."""
        if self.is_given or self.key.exists():
            return
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        _write_private(self.key, pem)

    def request(self, node_url: str) -> str | None:
        """Return a signing request (PEM) for the host in `node_url`, or None when the certificate was given by the operator."""
        if self.is_given:
            return None
        host = urlsplit(node_url).hostname or ""
        key = serialization.load_pem_private_key(self.key.read_bytes(), None)
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]))
        builder = builder.add_extension(x509.SubjectAlternativeName([_host_name(host)]), critical=False)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("The node's key is an elliptic curve key.")
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def keep(self, *, certificate: str | None, ca: str | None) -> None:
        """Store what registration answered."""
        if certificate and not self.is_given:
            _write_private(self.certificate, certificate.encode())
        if ca:
            _write_private(self.ca, ca.encode())

    def expires_soon(self) -> bool:
        certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        return certificate.not_valid_after_utc - datetime.now(UTC) < RENEW_BEFORE

    def load_into(self, context: ssl.SSLContext) -> None:
        """Use the present certificate for new connections, also those of the data port; those that are open keep theirs."""
        context.load_cert_chain(self.certificate, self.key)
        self._serving = serving_context(self.certificate, self.key)

    def serving_context(self) -> SSL.Context:
        """Return the context by which the data port shows the certificate that was loaded last."""
        if self._serving is None:
            self._serving = serving_context(self.certificate, self.key)
        return self._serving

    def trusting_context(self) -> SSL.Context:
        """Return the context that trusts other nodes: control's CA beside the host's own, host names checked.

        Made once for each state of the CA's file: reading all that the host trusts takes longer than a small copy.
        """
        changed = self._ca_changed()
        if self._trusting is None or self._trusting[0] != changed:
            self._trusting = (changed, trusting_context(self.ca if changed is not None else None))
        return self._trusting[1]

    def client_context(self) -> ssl.SSLContext:
        """Return the same for the standard library's own connections."""
        changed = self._ca_changed()
        if self._client is None or self._client[0] != changed:
            context = ssl.create_default_context()
            if changed is not None:
                context.load_verify_locations(self.ca)
            self._client = (changed, context)
        return self._client[1]

    def _ca_changed(self) -> int | None:
        return self.ca.stat().st_mtime_ns if self.ca.exists() else None


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_private(file: Path, content: bytes) -> None:
    partial = file.with_name(file.name + ".new")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as stream:
        stream.write(content)
    partial.replace(file)
