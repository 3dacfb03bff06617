"""The RSA key that signs id tokens: made once, kept on disk, published as a JWK set.

Clients keep the set for a day and may ignore the key id, so the key must not change while they run.
"""

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ALGORITHM = "RS512"


class SigningKey:
    """A private key with its public half as a JWK, the key id being its RFC 7638 thumbprint."""

    def __init__(self, private: rsa.RSAPrivateKey) -> None:
        self._private = private
        numbers = private.public_key().public_numbers()
        members = {"e": _encode(numbers.e), "kty": "RSA", "n": _encode(numbers.n)}
        digest = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
        self.key_id = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        self.jwk: dict[str, str] = {**members, "alg": ALGORITHM, "use": "sig", "kid": self.key_id}

    def sign(self, claims: dict[str, Any]) -> str:
        """`claims` as a signed JSON Web Token."""
        return jwt.encode(claims, self._private, algorithm=ALGORITHM, headers={"kid": self.key_id})


def load(path: Path) -> SigningKey:
    """The key at `path`, made (mode 0600) when there is none yet."""
    if not path.exists():
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        write_private(path, pem)
    private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError(f"{path} does not hold an RSA key")
    return SigningKey(private)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file at once, whole, readable by its owner alone."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _encode(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()
