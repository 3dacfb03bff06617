import socket
import ssl
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.localglobus.certificates import Authority
from services.localglobus.errors import ApiError


def strict_context(ca):
    context = ssl.create_default_context(cafile=str(ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@pytest.mark.parametrize("offset", [1, 2])
@pytest.mark.parametrize("name", ["127.0.0.2", "localhost"])
def test_a_strict_verifier_accepts_the_managers(localglobus, offset, name):
    with (
        socket.create_connection(("127.0.0.2", localglobus.port + offset)) as plain,
        strict_context(localglobus.data / "ca.pem").wrap_socket(plain, server_hostname=name) as secure,
    ):
        assert secure.version() in {"TLSv1.2", "TLSv1.3"}


def test_another_name_is_not_accepted(localglobus):
    with socket.create_connection(("127.0.0.2", localglobus.port + 1)) as plain, pytest.raises(ssl.SSLCertVerificationError):
        strict_context(localglobus.data / "ca.pem").wrap_socket(plain, server_hostname="127.0.0.9")


def request(*names, key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_a_node_gets_a_certificate_for_its_own_address(tmp_path):
    authority = Authority(tmp_path)
    certificate = x509.load_pem_x509_certificate(authority.sign(request(x509.IPAddress(ip_address("127.0.0.3")))).encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.pem.encode()))
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize("names", [(), (x509.DNSName("auth.globus.org"),), (x509.IPAddress(ip_address("10.0.0.1")),)])
def test_names_beyond_this_machine_are_not_signed(tmp_path, names):
    with pytest.raises(ApiError):
        Authority(tmp_path).sign(request(*names))


def test_an_allowed_host_is_signed_and_no_other(tmp_path):
    authority = Authority(tmp_path, allowed_hosts=["10.0.0.1", "node.internal"])
    for name in (x509.IPAddress(ip_address("10.0.0.1")), x509.DNSName("node.internal")):
        assert "CERTIFICATE" in authority.sign(request(name))
    with pytest.raises(ApiError, match=r"10\.0\.0\.2"):
        authority.sign(request(x509.IPAddress(ip_address("10.0.0.1")), x509.IPAddress(ip_address("10.0.0.2"))))


def test_rubbish_is_refused(tmp_path):
    with pytest.raises(ApiError):
        Authority(tmp_path).sign("rubbish")


def test_the_authority_stays_the_same(tmp_path):
    assert Authority(tmp_path).pem == Authority(tmp_path).pem
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
