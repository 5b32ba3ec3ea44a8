"""An identity provider on loopback: discovery, keys, and a token endpoint that holds to OpenID Connect and to PKCE."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "panlesion", "a secret of the client"


@cache
def _key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "1"})


@dataclass(kw_only=True)
class IdentityProvider:
    """`claims` change what the next identity token says; `key` signs it, unless there is a `secret` to forge it with."""

    url: str
    key: RSAKey = field(default_factory=_key)
    published: RSAKey = field(init=False)
    document: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    secret: bytes | None = None
    refuses: bool = False
    asked: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.published = self.key

    def log_in(self, address: str) -> str:
        """What the person's browser is answered with: a code for what the address asked."""
        told = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert (told["client_id"], told["response_type"], told["code_challenge_method"]) == (CLIENT, "code", "S256")
        code = f"code-{len(self.asked)}"
        self.asked[code] = told
        return code

    def answered(self, address: str) -> str:
        """Where a browser that was sent to the provider is sent back to."""
        told = parse_qs(urlsplit(address).query)
        said = {"error": "access_denied"} if self.refuses else {"code": self.log_in(address)}
        return f"{told['redirect_uri'][0]}?{urlencode(said | {'state': told['state'][0]})}"

    def discovery(self) -> dict[str, Any]:
        roads = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        return {"issuer": self.url} | {name: f"{self.url}/{road}" for name, road in roads.items()} | self.document

    def token(self, sent: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """A code is taken once, from the client that it was made for, with the verifier of its challenge."""
        told = self.asked.pop(sent.get("code", ""), None)
        challenge = packed(hashlib.sha256(sent.get("code_verifier", "").encode()).digest())
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if told is None or challenge != told["code_challenge"] or sent["redirect_uri"] != told["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        if authorization != f"Basic {basic}":
            return 401, {"error": "invalid_client"}
        at = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "sub": "person-1", "iat": at, "exp": at + 60, "nonce": told["nonce"]}
        claims = {name: value for name, value in (claims | self.claims).items() if value is not None}
        token = (
            jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key) if self.secret is None else forged(claims, self.secret)
        )
        return 200, {"access_token": "of no use", "token_type": "Bearer", "id_token": token}


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(claims: dict[str, Any], secret: bytes) -> str:
    """A token that is signed by a shared secret, by none where that is empty; libraries refuse to make it of a public key."""
    header = {"alg": "HS256" if secret else "none", "kid": "1"}
    told = ".".join(packed(json.dumps(one).encode()) for one in (header, claims))
    return f"{told}.{packed(hmac.new(secret, told.encode(), 'sha256').digest()) if secret else ''}"


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/authorize?"):
                self.send_response(303)
                self.send_header("Location", made.answered(self.path))
                self.end_headers()
                return
            told = {"/.well-known/openid-configuration": made.discovery, "/keys": lambda: {"keys": [public]}}.get(self.path)
            self.answer(404, {}) if told is None else self.answer(200, told())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            sent = {name: values[0] for name, values in parse_qs(body).items()}
            self.answer(*made.token(sent, self.headers.get("Authorization", "")))

        def answer(self, status: int, told: dict[str, Any]) -> None:
            data = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = IdentityProvider(url=f"http://127.0.0.1:{server.server_port}")
        public = made.published.as_dict(private=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()
