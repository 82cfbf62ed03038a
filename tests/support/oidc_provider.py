"""An OpenID provider on loopback that a test can make misbehave."""

import asyncio
import base64
import hashlib
import json
import secrets
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from service.system.http_server import HttpServer, bound_socket

CLIENT_ID, CLIENT_SECRET = "greffier", "s3cret/with:signs"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value):
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class SigningKey:
    """A private key, the JWK of its public half, and a signature by an algorithm."""

    def __init__(self, algorithm="RS256", kid="k1"):
        self.algorithm, self.kid = algorithm, kid
        if algorithm in {"RS256", "PS256"}:
            self.private = rsa.generate_private_key(65537, 2048)
            public = self.private.public_key().public_numbers()
            self.jwk = {"kty": "RSA", "n": number(public.n), "e": number(public.e)}
        elif algorithm == "ES256":
            self.private = ec.generate_private_key(ec.SECP256R1())
            public = self.private.public_key().public_numbers()
            self.jwk = {"kty": "EC", "crv": "P-256", "x": b64(public.x.to_bytes(32)), "y": b64(public.y.to_bytes(32))}
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(self.private.public_key().public_bytes_raw())}
        self.jwk |= {"kid": kid, "use": "sig"}

    def sign(self, data):
        if self.algorithm == "RS256":
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if self.algorithm == "PS256":
            return self.private.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        if self.algorithm == "ES256":
            r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32) + s.to_bytes(32)
        return self.private.sign(data)


def compact(header, claims, sign):
    """Return a compact JWS; ``sign`` is any function from bytes to bytes."""
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def unchanged(value):
    return value


class ControlledProvider:
    """Behaves correctly unless a test sets something else here."""

    def __init__(self, port, clock, key):
        self.issuer = f"http://127.0.0.1:{port}"
        self.clock, self.key = clock, key
        self.published = [key]
        #: claims of the person who signs in
        self.person = {"sub": "p-1", "email": "Ana@Example.org", "email_verified": True, "name": "Ana"}
        self.change_discovery = self.change_header = self.change_claims = self.change_answer = unchanged
        #: header, claims -> token
        self.encode = lambda header, claims: compact(header, claims, self.key.sign)
        #: path -> response instead of the correct one
        self.instead = {}
        self.asked = []
        self._codes = {}

    def authorized(self, url, **changes):
        """Sign the person in at the authorization endpoint; return the parameters of the callback."""
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.issuer}/authorize"
        asked = {name: values[0] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        given = {"code": code, "state": asked["state"], "iss": self.issuer} | changes
        return [(name, value) for name, value in given.items() if value is not None]

    def id_token(self, asked, access_token):
        now = int(self.clock.now().timestamp())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims["at_hash"] = b64(hashlib.sha256(access_token.encode()).digest()[:16])
        header = {"alg": self.key.algorithm, "kid": self.key.kid, "typ": "JWT"}
        return self.encode(self.change_header(header), self.change_claims(claims | self.person))

    async def discovery(self, request):
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_response_iss_parameter_supported": True,
            "code_challenge_methods_supported": ["S256"],
        }
        return JSONResponse(self.change_discovery(document))

    async def keys(self, request):
        return JSONResponse({"keys": [key.jwk if isinstance(key, SigningKey) else key for key in self.published]})

    async def token(self, request):
        form = await request.form()
        asked = self._codes.pop(form.get("code"), None)
        basic = f"Basic {base64.b64encode(b'greffier:s3cret%2Fwith%3Asigns').decode()}"
        challenge = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if request.headers.get("authorization") != basic:
            return JSONResponse({"error": "invalid_client"}, 401)
        if asked is None or challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        access_token = secrets.token_urlsafe(16)
        answer = {"access_token": access_token, "token_type": "Bearer"}
        return JSONResponse(self.change_answer(answer | {"id_token": self.id_token(asked, access_token)}))

    async def answer(self, request):
        path = request.url.path
        self.asked.append(path)
        if path in self.instead:
            return await self.instead[path]()
        route = {"/token": self.token, "/keys": self.keys, "/.well-known/openid-configuration": self.discovery}
        return await route[path](request) if path in route else Response(status_code=404)


async def never():
    """A response that never comes."""
    await asyncio.Event().wait()


async def huge():
    async def body():
        for _ in range(1000):
            yield b" " * 10_000

    return StreamingResponse(body(), media_type="application/json")


async def elsewhere():
    return RedirectResponse("http://127.0.0.1:1/stolen", 307)


async def nonsense():
    return Response(b"[" * 100_000, media_type="application/json")


@asynccontextmanager
async def controlled_provider(clock, key):
    """Run a provider on a free loopback port."""
    with bound_socket("127.0.0.1", 0) as listener:
        provider = ControlledProvider(listener.getsockname()[1], clock, key)
        app = Starlette(routes=[Route("/{path:path}", provider.answer, methods=["GET", "POST"])])
        server = HttpServer(app)
        server.config.timeout_graceful_shutdown = 0
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await server.is_up.wait()
        try:
            yield provider
        finally:
            server.force_exit = True
            server.stop()
            await serving
