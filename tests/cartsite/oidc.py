"""A small account service that speaks OpenID Connect over real HTTP, as strictly as a good one does."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID, CLIENT_SECRET = "shop", "no-secret-of-the-shop"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ADA = {"sub": "person-1", "email": "ada@example.org", "email_verified": True, "name": "Ada Shopper"}


@dataclass
class AccountService:
    """What it knows, and how it misbehaves if a test wants it to."""

    url: str = ""
    person: dict[str, Any] = field(default_factory=lambda: dict(ADA))  # who is signed in there, in their own words
    cancels: bool = False
    broken: set[str] = field(default_factory=set)  # paths that answer with a 500
    told: dict[str, Any] = field(default_factory=dict)  # claims of the ID token that differ
    config: dict[str, Any] = field(default_factory=dict)  # what the discovery document says otherwise
    asked: list[dict[str, str]] = field(default_factory=list)  # every request to sign somebody in
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)

    def discover(self) -> dict[str, Any]:
        at = {
            name: f"{self.url}/{name.partition('_')[0]}"
            for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
        }
        methods = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        return {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", **at, **methods, **self.config}

    def authorize(self, asked: dict[str, str]) -> str:
        """Where to send the browser back to: the person agrees at once."""
        self.asked.append(asked)
        assert (asked["client_id"], asked["response_type"]) == (CLIENT_ID, "code")
        assert asked["code_challenge_method"] == "S256"
        assert {"openid", "email"} <= set(asked["scope"].split())
        if self.cancels:
            answer = {"error": "access_denied", "state": asked["state"]}
        else:
            code = secrets.token_urlsafe(16)
            self.codes[code] = asked
            answer = {"code": code, "state": asked["state"]}
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    def give_tokens(self, sent: dict[str, str]) -> dict[str, Any] | None:
        """The tokens for a code: once, and only to whoever asked for it."""
        asked = self.codes.pop(sent["code"], None)
        proof = base64.urlsafe_b64encode(hashlib.sha256(sent.get("code_verifier", "").encode()).digest())
        known = (sent.get("client_id"), sent.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)
        if not asked or not known or proof.rstrip(b"=").decode() != asked["code_challenge"]:
            return None
        if sent["redirect_uri"] != asked["redirect_uri"]:
            return None
        token = secrets.token_urlsafe(16)
        self.tokens.add(token)
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "sub": self.person["sub"], "iat": now, "exp": now + 300}
        id_token = jwt.encode(claims | self.told, KEY, algorithm="RS256", headers={"kid": "1"})
        return {"access_token": token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token}


class Handler(BaseHTTPRequestHandler):
    service: AccountService

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path in self.service.broken:
            self.answer(500, {"error": "server_error"})
        elif parts.path == "/.well-known/openid-configuration":
            self.answer(200, self.service.discover())
        elif parts.path == "/authorization":
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.answer(302, {}, Location=self.service.authorize(asked))
        elif parts.path == "/userinfo":
            known = self.headers.get("Authorization", "").removeprefix("Bearer ") in self.service.tokens
            self.answer(200 if known else 401, self.service.person if known else {})
        else:
            self.answer(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        sent = {name: values[0] for name, values in parse_qs(body).items()}
        tokens = None if self.path in self.service.broken else self.service.give_tokens(sent)
        self.answer(200 if tokens else 400, tokens or {"error": "invalid_grant"})

    def answer(self, status: int, body: Any, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


@contextmanager
def serve() -> Iterator[AccountService]:
    """An account service on a free port, as long as the block lasts."""
    service = AccountService()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"service": service}))
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
