"""TLS over a blocking socket, also against the standard library's own TLS at the other end; whom a stream trusts."""

import contextlib
import ipaddress
import os
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.dtn.tls_contexts import serving_context, trusting_context
from services.dtn.tls_stream import TlsStream

HOST = "127.0.0.1"
ADDRESS = x509.IPAddress(ipaddress.ip_address(HOST))
MIB = 1 << 20
HANDSHAKE, DATA = b"\x16", b"\x17"  # kinds of records (RFC 8446, section 5.1)


def write_identity(folder, *names, ends=timedelta(1), extension=None):
    """Write a certificate for the names, signed by itself, and its key; returns the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(hours=2), now + ends)
    if names or extension:
        builder = builder.add_extension(extension or x509.SubjectAlternativeName(names), critical=False)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "node.pem"
    file.write_bytes(private + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    return write_identity(tmp_path_factory.mktemp("tls"), ADDRESS)


@pytest.fixture
def server_context(identity):
    return serving_context(identity, identity)


@pytest.fixture
def client_context(identity):
    return trusting_context(identity)


def standard_server(identity):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    return context


def standard_client(identity):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(identity)
    return context


@pytest.fixture
def pair():
    """Two ends of a TCP connection."""
    with socket.create_server((HOST, 0)) as listener, socket.create_connection(listener.getsockname(), timeout=20) as one:
        other, _ = listener.accept()
        with other:
            other.settimeout(20)
            yield one, other


def aside(work):
    """Run in a thread; returns what waits for the result, or raises what it raised."""
    found = []

    def run():
        try:
            found.append((work(), None))
        except BaseException as error:  # noqa: BLE001  # raised again by whoever waits
            found.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def wait():
        thread.join(20)
        value, error = found[0]
        if error is not None:
            raise error
        return value

    return wait


def read_whole(read, n_bytes):
    content = bytearray()
    while len(content) < n_bytes and (block := read(256 << 10)):
        content += block
    return bytes(content)


@pytest.mark.parametrize("is_ours_the_server", [True, False])
def test_bytes_pass_both_ways_to_and_from_the_standard_library(pair, identity, server_context, client_context, is_ours_the_server):
    content, answer = os.urandom(3 * MIB + 12345), os.urandom(MIB + 7)
    ours, theirs = pair

    def other_end():
        if is_ours_the_server:
            stream = standard_client(identity).wrap_socket(theirs, server_hostname=HOST)
        else:
            stream = standard_server(identity).wrap_socket(theirs, server_side=True)
        with stream:
            had = read_whole(stream.recv, len(content))
            stream.sendall(answer)
        return had

    wait = aside(other_end)
    stream = TlsStream(ours, server_context) if is_ours_the_server else TlsStream(ours, client_context, server_hostname=HOST)
    stream.sendall(memoryview(content))
    assert read_whole(stream.recv, len(answer)) == answer
    assert stream.recv(1) == b"", "the other end has closed"
    assert wait() == content


def test_what_is_there_is_given_without_waiting_for_a_full_buffer(pair, server_context, client_context):
    wait = aside(lambda: TlsStream(pair[1], server_context))
    stream = TlsStream(pair[0], client_context, server_hostname=HOST)
    server = wait()
    server.sendall(b"four")
    assert stream.recv(1000) == b"four"
    pair[0].settimeout(0.05)
    with pytest.raises(TimeoutError):
        stream.recv(1)
    server.sendall(b"five")
    assert stream.recv(2) == b"fi"
    assert stream.recv(1000) == b"ve", "a time-out loses nothing"


def test_a_cut_connection_is_an_end(pair, server_context, client_context):
    wait = aside(lambda: TlsStream(pair[1], server_context))
    stream = TlsStream(pair[0], client_context, server_hostname=HOST)
    server = wait()
    server.sendall(b"last words")
    server.shutdown()
    assert read_whole(stream.recv, 100) == b"last words"
    assert stream.recv(1) == b""


@pytest.mark.parametrize(
    ("names", "host", "is_trusted"),
    [
        ((ADDRESS,), HOST, True),
        ((ADDRESS,), "127.0.0.9", False),
        ((ADDRESS,), "node", False),  # the common name names no host
        ((), HOST, False),
        ((x509.DNSName("dtn.example.org"),), "DTN.example.org", True),
        ((x509.DNSName("*.example.org"),), "dtn.example.org", True),
        ((x509.DNSName("*.example.org"),), "example.org", False),
        ((x509.DNSName("*.example.org"),), "a.dtn.example.org", False),
        ((x509.DNSName("dtn.example.org"),), "dtn.example.org.evil.test", False),
        ((x509.DNSName(HOST),), HOST, False),  # an address is no name
        ((x509.IPAddress(ipaddress.ip_address("::1")),), "::1", True),
    ],
)
def test_a_host_is_trusted_by_the_names_in_its_certificate_and_a_refusal_is_told_to_both_ends(pair, tmp_path, names, host, is_trusted):
    identity = write_identity(tmp_path, *names)
    wait = aside(lambda: TlsStream(pair[1], serving_context(identity, identity)).recv(1))
    if is_trusted:
        TlsStream(pair[0], trusting_context(identity), server_hostname=host).sendall(b"x")
        assert wait() == b"x"
        return
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate is not valid for"):
        TlsStream(pair[0], trusting_context(identity), server_hostname=host)
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        wait()


def test_a_certificate_that_has_ended_is_refused(pair, tmp_path):
    identity = write_identity(tmp_path, ADDRESS, ends=-timedelta(hours=1))
    wait = aside(lambda: TlsStream(pair[1], serving_context(identity, identity)).recv(1))
    with pytest.raises(ssl.SSLCertVerificationError, match="has expired"):
        TlsStream(pair[0], trusting_context(identity), server_hostname=HOST)
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        wait()


@pytest.mark.parametrize("ca", ["of another site", "none"])
def test_a_certificate_of_nobody_who_is_trusted_is_refused(pair, tmp_path, server_context, ca):
    wait = aside(lambda: TlsStream(pair[1], server_context).recv(1))
    trusted = trusting_context(write_identity(tmp_path, ADDRESS) if ca != "none" else None)
    with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
        TlsStream(pair[0], trusted, server_hostname=HOST)
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        wait()


def test_a_host_that_trusts_nobody_trusts_the_ca_that_is_given(pair, tmp_path, identity, server_context, monkeypatch):
    (tmp_path / "none.pem").touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    wait = aside(lambda: TlsStream(pair[1], server_context).recv(1))
    TlsStream(pair[0], trusting_context(identity), server_hostname=HOST).sendall(b"x")
    assert wait() == b"x"


def test_a_certificate_with_names_that_cannot_be_read_is_refused(pair, tmp_path):
    names = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, bytes.fromhex("3004a3023000"))  # an X.400 address
    identity = write_identity(tmp_path, extension=names)
    wait = aside(lambda: TlsStream(pair[1], serving_context(identity, identity)).recv(1))
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsStream(pair[0], trusting_context(identity), server_hostname=HOST)
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        wait()


def test_a_peer_that_knows_old_protocols_alone_is_refused(pair, identity, server_context):
    old = standard_client(identity)
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    wait = aside(lambda: TlsStream(pair[1], server_context))
    with pytest.raises(OSError, match=r"(?i)alert|eof|reset"):
        old.wrap_socket(pair[0], server_hostname=HOST)
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol|version"):
        wait()


def test_a_peer_that_leaves_during_the_handshake_is_an_error(pair, server_context):
    pair[0].shutdown(socket.SHUT_WR)
    with pytest.raises(ssl.SSLEOFError):
        TlsStream(pair[1], server_context)


def test_a_record_that_was_changed_on_its_way_is_an_error(pair, server_context, client_context):
    wait = aside(lambda: TlsStream(pair[1], server_context))
    TlsStream(pair[0], client_context, server_hostname=HOST)
    server = wait()
    pair[0].sendall(DATA + b"\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ssl.SSLError, match=r"bad record mac|decryption failed"):
        server.recv(1)


def test_a_peer_that_says_nothing_does_not_hold_the_handshake(pair, server_context):
    pair[1].settimeout(0.05)
    with pytest.raises(TimeoutError):
        TlsStream(pair[1], server_context)


@contextlib.contextmanager
def dribbling(stream, kind):
    """Send the head of a long record of a kind, then a byte of it now and then."""
    is_over = threading.Event()

    def dribble():
        with contextlib.suppress(OSError):
            stream.sendall(kind + b"\x03\x03\x10\x00")
            while not is_over.wait(0.02):
                stream.sendall(b"\x00")

    wait = aside(dribble)
    try:
        yield
    finally:
        is_over.set()
        wait()


def test_a_peer_that_dribbles_does_not_hold_the_handshake(pair, server_context):
    pair[1].settimeout(0.2)
    with dribbling(pair[0], HANDSHAKE), pytest.raises(TimeoutError):
        TlsStream(pair[1], server_context)


def test_a_peer_that_dribbles_does_not_hold_who_reads(pair, server_context, client_context):
    wait = aside(lambda: TlsStream(pair[1], server_context))
    TlsStream(pair[0], client_context, server_hostname=HOST)
    server = wait()
    pair[1].settimeout(0.2)
    with dribbling(pair[0], DATA), pytest.raises(TimeoutError):
        server.recv(100)


def test_a_file_of_the_stream_outlives_its_close(pair, server_context, client_context):
    wait = aside(lambda: TlsStream(pair[1], server_context))
    stream = TlsStream(pair[0], client_context, server_hostname=HOST)
    server = wait()
    file = stream.makefile("rb")
    stream.close()
    server.sendall(b"one line\nand more")
    assert file.readline() == b"one line\n"
    file.close()
    assert pair[0].fileno() == -1
