"""The identity provider: where it is sent to, and what its answer proves. Authorization code with PKCE, state and nonce."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from panlesion.aid.settings import Settings
from panlesion.errors import AccountError, PanlesionError

SCOPE = "openid profile email"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a key pair alone: with a shared secret, or none, anybody could sign."""
_TIMEOUT_S = 10.0
_LEEWAY_S = 60
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class ProviderError(PanlesionError):
    """The identity provider cannot be reached, or is not set up as OpenID Connect asks."""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """What its discovery document says."""

    issuer: str
    authorization_url: str
    token_url: str
    keys_url: str


def discover(settings: Settings) -> Provider:
    """Ask for the discovery document.

    Raises:
        ProviderError: it is not there, or speaks for another issuer.
    """
    told = _get_json(f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration")
    if str(told.get("issuer", "")).rstrip("/") != settings.oidc_issuer.rstrip("/"):
        raise ProviderError(f"the identity provider says it is {told.get('issuer')!r}, not {settings.oidc_issuer!r}")
    named = {field: told.get(field) for field in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    for field, url in named.items():
        if not isinstance(url, str) or not (url.startswith("https://") or urlsplit(url).hostname in _LOOPBACK):
            raise ProviderError(f"the identity provider's {field} is {url!r}; it must be https")
    return Provider(
        issuer=str(told["issuer"]),
        authorization_url=str(named["authorization_endpoint"]),
        token_url=str(named["token_endpoint"]),
        keys_url=str(named["jwks_uri"]),
    )


def login_url(settings: Settings, provider: Provider, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
    """Where the browser is sent."""
    with _client(settings, redirect_uri) as client:
        url, _ = client.create_authorization_url(provider.authorization_url, state=state, code_verifier=verifier, nonce=nonce)
    return str(url)


def claims_of_code(
    settings: Settings, provider: Provider, *, code: str, redirect_uri: str, nonce: str, verifier: str
) -> dict[str, Any]:
    """Exchange the code, and take the identity token only if all of it fits.

    Raises:
        AccountError: the provider refuses the code, or its token is forged, foreign, expired or of another login.
        ProviderError: the provider does not answer.
    """
    try:
        with _client(settings, redirect_uri) as client:
            told = client.fetch_token(
                provider.token_url, grant_type="authorization_code", code=code, code_verifier=verifier, timeout=_TIMEOUT_S
            )
    except OAuthError as error:
        raise AccountError(f"the identity provider refuses this login ({error.error}); begin again") from error
    except (requests.RequestException, ValueError) as error:
        raise ProviderError(f"the identity provider's token endpoint does not answer ({type(error).__name__})") from error
    if not isinstance(told.get("id_token"), str):
        raise AccountError("the identity provider sent no identity token; it must support OpenID Connect")
    return _checked(settings, provider, told["id_token"], nonce)


def _checked(settings: Settings, provider: Provider, id_token: str, nonce: str) -> dict[str, Any]:
    rules = jwt.JWTClaimsRegistry(
        leeway=_LEEWAY_S,
        iss={"essential": True, "value": provider.issuer},
        aud={"essential": True, "value": settings.oidc_client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    try:
        keys = KeySet.import_key_set(_get_json(provider.keys_url))  # type: ignore[arg-type]
        claims = jwt.decode(id_token, keys, algorithms=list(ALGORITHMS)).claims
        rules.validate(claims)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise AccountError(f"the identity provider's token is not valid here ({_short(error)}); begin again") from error
    audiences = claims["aud"]
    if claims.get("azp", settings.oidc_client_id) != settings.oidc_client_id or (
        isinstance(audiences, list) and len(audiences) > 1 and "azp" not in claims
    ):
        raise AccountError("the identity provider's token was made for another application; begin again")
    return dict(claims)


def _short(error: Exception) -> str:
    return str(error)[:120] if isinstance(error, JoseError) else type(error).__name__


def _client(settings: Settings, redirect_uri: str) -> Any:
    return OAuth2Session(
        settings.oidc_client_id,
        settings.oidc_client_secret or None,
        scope=SCOPE,
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
        token_endpoint_auth_method="client_secret_basic" if settings.oidc_client_secret else "none",
    )


def _get_json(url: str) -> dict[str, Any]:
    try:
        answer = requests.get(url, timeout=_TIMEOUT_S, allow_redirects=False)
        told = answer.json() if answer.status_code == 200 else None
    except (requests.RequestException, ValueError) as error:
        raise ProviderError(
            f"the identity provider does not answer at {url} ({type(error).__name__}); try again later"
        ) from error
    if not isinstance(told, dict):
        raise ProviderError(
            f"the identity provider answers {answer.status_code} at {url}, and no JSON object; tell its keepers"
        )
    return told
