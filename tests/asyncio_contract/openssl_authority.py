"""A certificate authority by the `openssl` program, with the part of trustme that is used here.

For the builds of CPython for which what trustme depends on has no wheels.
"""

import ssl
import subprocess
import tempfile
from pathlib import Path

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
AUTHORITY = "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"
EXTENSIONS = """
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature,keyEncipherment
extendedKeyUsage=serverAuth,clientAuth
authorityKeyIdentifier=keyid
"""


def openssl(folder: str, *arguments: str) -> None:
    """Run a command of `openssl` in `folder`."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


class Pem:
    """The text of a key or of a certificate."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def bytes(self) -> bytes:
        """Return the text."""
        return self.text


class Certificate:
    """A certificate and its key."""

    def __init__(self, certificate: Pem, key: Pem) -> None:
        self.cert_chain_pems = [certificate]
        self.private_key_pem = key

    def configure_cert(self, context: ssl.SSLContext) -> None:
        """Have `context` present the certificate."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.private_key_pem.bytes() + self.cert_chain_pems[0].bytes())
            file.flush()
            context.load_cert_chain(file.name)


class CA:
    """An authority of its own, made in memory."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            names = ("-subj", "/CN=The tests", "-keyout", "key", "-out", "certificate")
            openssl(folder, "req", "-x509", *KEY, *names, "-addext", AUTHORITY)
            self.cert_pem = Pem(Path(folder, "certificate").read_bytes())
            self.key_pem = Pem(Path(folder, "key").read_bytes())

    def issue_cert(self, host: str) -> Certificate:
        """Return a certificate for `host`."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "authority").write_bytes(self.cert_pem.bytes() + self.key_pem.bytes())
            Path(folder, "extensions").write_text(f"subjectAltName=DNS:{host}{EXTENSIONS}")
            names = ("-subj", f"/CN={host}", "-keyout", "key", "-out", "request")
            openssl(folder, "req", "-new", *KEY, *names)
            signing = ("-CA", "authority", "-CAkey", "authority", "-extfile", "extensions")
            result = ("-set_serial", "1", "-out", "certificate")
            openssl(folder, "x509", "-req", "-in", "request", *signing, *result)
            certificate, key = (Path(folder, name).read_bytes() for name in ("certificate", "key"))
        return Certificate(Pem(certificate), Pem(key))

    def configure_trust(self, context: ssl.SSLContext) -> None:
        """Have `context` trust what the authority has issued."""
        context.load_verify_locations(cadata=self.cert_pem.bytes().decode())
