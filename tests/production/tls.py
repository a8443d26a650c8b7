"""TLS of our own: a certificate that signs itself, and a small proxy that speaks TLS in front of a program."""

import http.client
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
PATIENCE = 60  # seconds, for one answer
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length"}


def make_certificate(folder: Path) -> Path:
    """Make a key and a certificate for 127.0.0.1, in one file; its path. Whoever trusts the file trusts the proxies."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Only for make production-check")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "tls.pem"
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(encoding))
    return path


class _Handler(BaseHTTPRequestHandler):
    """Passes a request on, and says who sent it and how."""

    server: "_Proxy"
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        headers |= {"X-Forwarded-For": self.client_address[0], "X-Forwarded-Proto": "https"}
        behind = http.client.HTTPConnection(HOST, self.server.behind, timeout=PATIENCE)
        try:
            behind.request(self.command, self.path, body=body or None, headers=headers)
            answer = behind.getresponse()
            self._give_back(answer, answer.read())
        except (OSError, http.client.HTTPException):
            self.send_error(502)
        finally:
            behind.close()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = _pass_on  # noqa: N815 - the library's names

    def _give_back(self, answer: http.client.HTTPResponse, body: bytes) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the program behind has a log."""


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    behind = 0  # the program's port

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of somebody who hung up."""


@contextmanager
def proxy(certificate: Path) -> Iterator[_Proxy]:
    """A proxy on a free port, for as long as the `with` lasts; set its `behind` before somebody comes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = _Proxy((HOST, 0), _Handler)
    # The handshake is made by the thread that answers, so that nobody who hesitates keeps the others waiting.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def url_of(server: _Proxy) -> str:
    """Where a proxy is."""
    return f"https://{HOST}:{server.server_port}"
