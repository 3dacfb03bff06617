"""Real files of the demo's archive, and a real HTTPS server that keeps count of what it sent."""

import datetime as dt
import ipaddress
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import iris_sample_data
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.responses import FileResponse, PlainTextResponse

SAMPLES = Path(iris_sample_data.path)


@dataclass
class FileServer:
    """`https://127.0.0.1:<port>/<path>` serves files below `root`; `requests` holds (method, path, range, bytes sent)."""

    root: Path
    url: str = ""
    requests: list[tuple[str, str, str, int]] = field(default_factory=list)
    token: str | None = None

    async def __call__(self, scope, receive, send):
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        target = self.root / scope["path"].lstrip("/")
        sent = 0

        async def counted(message):
            nonlocal sent
            sent += len(message.get("body", b""))
            await send(message)

        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            answer = PlainTextResponse("no", status_code=403)
        else:
            answer = FileResponse(target) if target.is_file() else PlainTextResponse("no such file", status_code=404)
        await answer(scope, receive, counted)
        self.requests.append((scope["method"], scope["path"], headers.get("range", ""), sent))

    @property
    def bytes_sent(self) -> int:
        return sum(sent for *_, sent in self.requests)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A CA-like certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
    )
    builder = builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    usage = {"digital_signature": True, "key_cert_sign": True, "crl_sign": True}
    rest = dict.fromkeys(
        ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"], False
    )
    certificate = builder.add_extension(x509.KeyUsage(**usage, **rest), critical=True).sign(key, hashes.SHA256())
    certificate_path, key_path = folder / "ca.pem", folder / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return certificate_path, key_path


@pytest.fixture
def file_server(tmp_path, monkeypatch):
    """A `FileServer` over an empty folder, trusted through GLOBUS_SDK_VERIFY_SSL."""
    root = tmp_path / "files"
    root.mkdir()
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("GLOBUS_SDK_VERIFY_SSL", str(certificate))
    served = FileServer(root)
    config = uvicorn.Config(
        served, host="127.0.0.1", port=0, ssl_certfile=certificate, ssl_keyfile=key, log_level="warning", lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)  # polled: there is no event to wait for
    served.url = f"https://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield served
    server.should_exit = True
    thread.join(60)


@pytest.fixture
def samples() -> Path:
    """The folder of real NetCDF files (Met Office, Open Government Licence)."""
    return SAMPLES
