"""Whom nodes trust when they send each other bytes: the contexts of pyOpenSSL for `tls_stream.py`.

As strict as `ssl.create_default_context`: TLS 1.2 at least, ciphers that authenticate what they encrypt, a chain to a trusted CA, and the
host's own name in the certificate, which the library service-identity compares (RFC 9525) while hands are shaken.
"""

import contextlib
import ipaddress
import ssl
from pathlib import Path

import service_identity
from cryptography import x509
from OpenSSL import SSL, crypto
from OpenSSL._util import ffi, lib
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address

CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; all of 1.3 are such
REFUSALS = (
    service_identity.VerificationError, service_identity.CertificateError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType,
    ValueError,
)  # fmt: skip
PARTIAL_WRITE = 0x1  # SSL_MODE_ENABLE_PARTIAL_WRITE of OpenSSL's ssl.h: a call would make one record only


def serving_context(certificate: Path, key: Path) -> SSL.Context:
    """Return the context of a server with this certificate (PEM, its chain behind it)."""
    context = _new_context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_chain_file(str(certificate))
    context.use_privatekey_file(str(key))
    context.check_privatekey()
    return context


def trusting_context(ca: Path | None) -> SSL.Context:
    """Return the context of a client that trusts this CA (PEM) beside those that the host trusts."""
    context = _new_context(SSL.TLS_CLIENT_METHOD)
    of_host = ssl.get_default_verify_paths()  # also what SSL_CERT_FILE names
    for file, folder in ((of_host.cafile, None), (None, of_host.capath)):
        if file or folder:
            with contextlib.suppress(SSL.Error):  # a file that holds no certificate is passed over, as by the standard library
                context.load_verify_locations(file, folder)
    if ca is not None:
        context.load_verify_locations(str(ca))
    context.set_verify(SSL.VERIFY_PEER, _is_trusted)
    return context


def _new_context(method: int) -> SSL.Context:
    context = SSL.Context(method)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # a session that goes on would show no certificate
    context.clear_mode(PARTIAL_WRITE)
    return context


class Peer:
    """The server that a connection is meant to reach. `reason` says why it is not that one."""

    def __init__(self, connection: SSL.Connection, host: str) -> None:
        self._host, self._is_address = host, _is_address(host)
        self._is_checked = False
        self.reason = ""
        connection.set_app_data(self)
        if not self._is_address:
            connection.set_tlsext_host_name(host.encode("idna"))

    def check(self, certificate: crypto.X509) -> bool:
        """Whether the certificate is for this host."""
        try:
            verify = verify_certificate_ip_address if self._is_address else verify_certificate_hostname
            verify(certificate.to_cryptography(), self._host)
        except REFUSALS:
            self.reason = f"certificate verify failed: the certificate is not valid for '{self._host}'"
            return False
        self._is_checked = True
        return True

    def require_checked(self) -> None:
        """Raise SSLCertVerificationError unless the host has shown its certificate."""
        if not self._is_checked:
            raise ssl.SSLCertVerificationError(1, f"{self._host} has shown no certificate")


def _is_trusted(connection: SSL.Connection, certificate: crypto.X509, error_number: int, depth: int, is_valid: int) -> bool:
    """Called for each certificate of the chain, the host's own last (`SSL_CTX_set_verify`)."""
    peer = connection.get_app_data()
    if not is_valid:
        words = ffi.string(lib.X509_verify_cert_error_string(error_number)).decode()
        peer.reason = f"certificate verify failed: {words}"
        return False
    return depth > 0 or peer.check(certificate)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
