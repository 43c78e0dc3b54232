"""The private key of a sandbox's service account: generated, or read from a user's file."""

import os
from functools import cache
from pathlib import Path

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from voxsms.calls.auth import ServiceAccount
from voxsms.errors import CredentialsInvalid


@attrs.frozen
class Key:
    """A key, and the ids from its credentials file, if it has one."""

    private_key: str = attrs.field(repr=False)
    """An RSA key in PEM form."""
    key_id: str | None = None
    account_id: int | None = None


@cache
def new_private_key() -> str:
    """Generate a key in PEM form, once a process, when first needed: it takes long."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode()


@cache
def public_key_of(private_key: str) -> rsa.RSAPublicKey:
    """Return the public part of a key in PEM form, or raise `ValueError`."""
    try:
        key = serialization.load_pem_private_key(private_key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
        key = None
    if isinstance(key, rsa.RSAPrivateKey):
        return key.public_key()
    raise ValueError("has no RSA private key in PEM form without a password")


def read_key(file: str | os.PathLike[str] | None) -> Key | None:
    """Read a file with a key in PEM form, or a service account's credentials file.

    Raises:
        ValueError: the file cannot be read or has no such key.
    """
    if file is None:
        return None
    try:
        text = Path(file).read_text("utf-8")
        key = Key(text)
        if text.lstrip().startswith("{"):
            found = ServiceAccount.from_file(file)
            key = Key(found.private_key.replace("\\n", "\n"), found.key_id, found.account_id)
        public_key_of(key.private_key)
    except OSError as error:
        raise ValueError(f"key_file: {os.fspath(file)}: {error.strerror}") from None
    except (ValueError, CredentialsInvalid) as error:
        problem = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
        raise ValueError(f"key_file: {problem}") from None
    return key
