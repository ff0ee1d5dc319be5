"""The demo's own certificate authority, and two certificates: one good, one expired."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from t4g_portal.demo.marking import folder

_DAY = timedelta(days=1)
_YEARS = 400 * _DAY


def authority_file(data_dir: Path) -> Path:
    """Return the authority that the demo's probes trust; certificates are made with it."""
    path = _folder(data_dir) / "authority.pem"
    if not path.is_file() or not _is_valid(good_file(data_dir)):
        _make(data_dir)
    return path


def good_file(data_dir: Path) -> Path:
    """Return key and certificate of a server that is well."""
    return _folder(data_dir) / "good.pem"


def expired_file(data_dir: Path) -> Path:
    """Return key and certificate that ended yesterday."""
    return _folder(data_dir) / "expired.pem"


def _folder(data_dir: Path) -> Path:
    path = folder(data_dir) / "certificates"
    path.mkdir(exist_ok=True)
    return path


def _is_valid(path: Path) -> bool:
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return False
    return found.not_valid_after_utc > datetime.now(UTC) + 30 * _DAY


def _make(data_dir: Path) -> None:
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("T4G demo authority")
    authority = (
        _builder(name, name, key.public_key(), now - 100 * _DAY, now + _YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    for path, start, end in (
        (good_file(data_dir), now - 20 * _DAY, now + 70 * _DAY),
        (expired_file(data_dir), now - 91 * _DAY, now - _DAY),
    ):
        path.write_bytes(_leaf(key, authority, start, end))
        path.chmod(0o600)
    pem = authority.public_bytes(serialization.Encoding.PEM)
    (_folder(data_dir) / "authority.pem").write_bytes(pem)


def _leaf(
    authority_key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    start: datetime,
    end: datetime,
) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name("localhost"), authority.subject, key.public_key(), start, end)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(
                authority_key.public_key()
            ),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    start: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
