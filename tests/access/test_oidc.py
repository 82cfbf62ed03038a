"""Signing in by an OpenID provider that lies, repeats, mixes up, delays: every refusal has its reason."""

import asyncio
import hmac
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from notifications.errors import StateConflictError
from notifications.use_cases.audit_context import AuditContext
from service.auth.oidc.flow import OidcSignIn
from service.auth.oidc.refusal import OidcRefusedError
from service.auth.sign_in.invitations import invite
from service.auth.sign_in.links import new_link_secret
from service.auth.sign_in.sessions import Browser
from service.auth.sign_in.sign_in import SignIn, SignInSettings
from service.crypto.secret_box import SecretBox
from service.ports.accounts import Account, AccountKind, Grant, Role
from service.ports.credentials import Password
from service.settings.oidc import OidcSettings
from service.store import open_store
from service.system.logging import SystemIdentifiers
from support.clocks import SteppedClock
from support.oidc_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    SigningKey,
    b64,
    compact,
    controlled_provider,
    elsewhere,
    huge,
    never,
    nonsense,
)

BROWSER = Browser(address="192.0.2.1")
REDIRECT = "https://greffier.example/sign-in/oidc/callback"


@pytest.fixture(scope="module")
def key():
    return SigningKey()


@pytest.fixture(scope="module")
def other_key():
    return SigningKey(kid="k2")


class World:
    """One provider, one service that trusts it, and the browser of one person."""

    def __init__(self, provider, store, clock, oidc):
        self.provider, self.store, self.clock, self.oidc = provider, store, clock, oidc

    async def sign_in(self, **changes):
        url, secret = await self.oidc.begin("/notices", BROWSER)
        return await self.oidc.finish(self.provider.authorized(url, **changes), secret, BROWSER)

    async def refused(self, reason, **changes):
        with pytest.raises(OidcRefusedError) as caught:
            await self.sign_in(**changes)
        assert caught.value.reason == reason

    def changed(self, **claims):
        """Let the provider state these claims; None leaves one out."""
        self.provider.change_claims = lambda right: {
            name: value for name, value in (right | claims).items() if value is not None
        }

    async def grants(self, account_id):
        return await self.store.read(
            lambda tx: {(item.role, item.customer_id, item.from_claims) for item in tx.accounts.grants(account_id)}
        )

    async def entries(self):
        pending = await self.store.read(lambda tx: [json.loads(item.leaf) for item in tx.audit.pending(1000)])
        return [(item["type"], item["actor"]) for item in pending]

    async def account(self, *, used=False, roles=(), active=True, email="ana@example.org"):
        act = AuditContext("operator:test", self.clock.now(), SystemIdentifiers())
        made = Account(uuid4(), AccountKind.PERSON, "A", email, "en", active, act.now, act.actor)

        def work(tx):
            tx.accounts.add(made)
            for role in roles:
                tx.accounts.add_grant(Grant(uuid4(), made.id, role, None, None, None, act.now, act.actor))
            if used:
                tx.credentials.set_password(Password(made.id, "$argon2id$", act.now))

        await self.store.write(work)
        return made


@pytest.fixture
async def make_world(data_folder, service_log, key):
    @asynccontextmanager
    async def made(**settings):
        clock, identifiers, secret_box = SteppedClock(), SystemIdentifiers(), SecretBox([b"m" * 32])
        async with controlled_provider(clock, key) as provider:
            store = open_store(data_folder / "greffier.sqlite3")
            of_sign_in = SignInSettings(origin="https://greffier.example")
            values = {
                "issuer": provider.issuer,
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "role_claim": "realm.roles",
                "roles": {"soc": "analyst", "boss": "approver", "cust": "customer_member", "audit": "customer_auditor"},
                "customer_claim": "tenants",
                "create_accounts": True,
            }
            oidc = OidcSignIn(
                store,
                clock,
                identifiers,
                secret_box,
                OidcSettings(**(values | settings)),
                SignIn(store, clock, identifiers, secret_box, of_sign_in),
                redirect_uri=REDIRECT,
                default_language="fr",
            )
            provider.person |= {"realm": {"roles": ["soc"]}}
            try:
                yield World(provider, store, clock, oidc)
            finally:
                await oidc.aclose()
                await store.close()

    return made


@pytest.fixture
async def world(make_world):
    async with make_world() as made:
        yield made


async def test_a_person_signs_in_and_the_session_is_theirs(world):
    signed_in, way_on = await world.sign_in()
    assert way_on == "/notices"
    assert signed_in.method == "oidc"
    assert not signed_in.must_enrol
    assert (signed_in.account.email, signed_in.account.name) == ("ana@example.org", "Ana")
    assert await world.grants(signed_in.account.id) == {(Role.ANALYST, None, True)}
    kinds = [kind for kind, actor in await world.entries() if actor == "system:oidc"]
    assert kinds == ["account.created", "identity.linked", "role.granted"]
    again, _ = await world.sign_in()
    assert again.account.id == signed_in.account.id
    assert again.session_secret != signed_in.session_secret


@pytest.mark.parametrize("algorithm", ["PS256", "ES256", "EdDSA"])
async def test_the_other_algorithms_are_taken(world, algorithm):
    world.provider.key = SigningKey(algorithm)
    world.provider.published = [world.provider.key]
    world.changed(at_hash=None)
    assert (await world.sign_in())[0].method == "oidc"


FURTHER_KEYS = {
    # RFC 7518, 6.2.1.1, permits further curves. joserfc 1.8.0 raises KeyError for a set with one.
    "a curve that is not known": {"kty": "EC", "crv": "BP-256", "x": b64(b"x" * 32), "y": b64(b"y" * 32)},
    "a curve that is not used": {"kty": "OKP", "crv": "X25519", "x": b64(b"x" * 32)},
    "a key type that is not known": {"kty": "AKP", "alg": "ML-DSA-44", "pub": b64(b"x" * 1312)},
    "a member that is missing": {"kty": "RSA", "e": "AQAB"},
}


@pytest.mark.parametrize("further", FURTHER_KEYS.values(), ids=FURTHER_KEYS)
async def test_a_key_that_is_not_understood_leaves_the_others(world, key, further):
    """RFC 7517, 5."""
    world.provider.published = [further | {"kid": "further", "use": "sig"}, key]
    assert (await world.sign_in())[0].method == "oidc"


def public_pem(key):
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class TestForgedSignatures:
    @pytest.mark.parametrize(
        "algorithm", ["none", "None", "NONE", "HS256", "HS512", "RS512", "ES256K", "", None, 7, []]
    )
    async def test_no_other_algorithm(self, world, key, algorithm):
        world.provider.encode = lambda header, claims: compact(
            header | {"alg": algorithm}, claims, lambda data: hmac.digest(public_pem(key), data, "sha256")
        )
        with pytest.raises(OidcRefusedError) as caught:
            await world.sign_in()
        assert caught.value.reason in {"token_algorithm", "token_malformed"}

    async def test_no_signature_at_all(self, world):
        world.provider.encode = lambda header, claims: compact(header | {"alg": "none"}, claims, lambda _: b"")
        await world.refused("token_algorithm")
        world.provider.encode = lambda header, claims: compact(header, claims, lambda _: b"")
        await world.refused("token_signature")

    async def test_a_public_key_is_no_mac_key(self, world, key):
        world.provider.encode = lambda header, claims: compact(
            header | {"alg": "HS256"}, claims, lambda data: hmac.digest(public_pem(key), data, "sha256")
        )
        await world.refused("token_algorithm")
        # Nor where the provider publishes a symmetric key.
        world.provider.published = [{"kty": "oct", "k": b64(b"x" * 32), "kid": "k1"}, key]
        world.provider.encode = lambda header, claims: compact(
            header | {"alg": "HS256"}, claims, lambda data: hmac.digest(b"x" * 32, data, "sha256")
        )
        await world.refused("token_algorithm")

    async def test_a_signature_by_another_key(self, world, other_key):
        world.provider.encode = lambda header, claims: compact(header, claims, other_key.sign)
        await world.refused("token_signature")

    async def test_a_key_of_another_kind_than_the_algorithm_needs(self, world):
        world.provider.change_header = lambda header: header | {"alg": "ES256"}
        await world.refused("token_key_unknown")

    @pytest.mark.parametrize("kid", ["k2", "../k1", "k1' OR 1=1", "x" * 5000])
    async def test_a_key_that_is_not_published(self, world, kid):
        world.provider.change_header = lambda header: header | {"kid": kid}
        await world.refused("token_key_unknown")

    async def test_a_key_in_the_header_is_not_looked_at(self, world, other_key):
        named = {"jwk": other_key.jwk, "jku": f"{world.provider.issuer}/evil", "x5u": f"{world.provider.issuer}/evil"}
        world.provider.encode = lambda header, claims: compact(header | named, claims, other_key.sign)
        await world.refused("token_signature")
        world.provider.encode = lambda header, claims: compact(header | named | {"kid": "k2"}, claims, other_key.sign)
        await world.refused("token_key_unknown")
        assert "/evil" not in world.provider.asked

    async def test_several_keys_and_no_name(self, world, key, other_key):
        world.provider.published = [key, other_key]
        world.provider.change_header = lambda header: {name: header[name] for name in header if name != "kid"}
        await world.refused("token_key_ambiguous")

    @pytest.mark.parametrize("header", [{"typ": "at+jwt"}, {"typ": "logout+jwt"}, {"crit": ["exp"], "exp": 1}])
    async def test_another_kind_of_token(self, world, header):
        world.provider.change_header = lambda right: right | header
        with pytest.raises(OidcRefusedError) as caught:
            await world.sign_in()
        assert caught.value.reason in {"token_type", "token_malformed"}

    @pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "é.é.é", "." * 100, "x" * 70_000, None, 5, {"a": 1}])
    async def test_no_token(self, world, token):
        world.provider.change_answer = lambda answer: answer | {"id_token": token}
        with pytest.raises(OidcRefusedError) as caught:
            await world.sign_in()
        assert caught.value.reason in {"token_missing", "token_malformed"}


class TestClaims:
    @pytest.mark.parametrize(
        ("claims", "reason"),
        [
            ({"iss": "https://evil.example"}, "token_issuer"),
            ({"iss": None}, "token_issuer"),
            ({"aud": "other"}, "token_audience"),
            ({"aud": []}, "token_audience"),
            ({"aud": None}, "token_audience"),
            ({"aud": {"greffier": 1}}, "token_audience"),
            ({"aud": "greffier2"}, "token_audience"),
            ({"aud": [CLIENT_ID, "other"]}, "token_authorized_party"),
            ({"aud": [CLIENT_ID, "other"], "azp": "other"}, "token_authorized_party"),
            ({"azp": "other"}, "token_authorized_party"),
            ({"exp": None}, "token_times"),
            ({"iat": None}, "token_times"),
            ({"exp": float("nan")}, "token_times"),
            ({"exp": "2999"}, "token_times"),
            ({"exp": True}, "token_times"),
            ({"nonce": None}, "token_nonce"),
            ({"nonce": ""}, "token_nonce"),
            ({"nonce": "replayed"}, "token_nonce"),
            ({"nonce": ["x"]}, "token_nonce"),
            ({"at_hash": "wrong"}, "token_access_hash"),
            ({"at_hash": 1}, "token_access_hash"),
            ({"sub": None}, "token_subject"),
            ({"sub": ""}, "token_subject"),
            ({"sub": 7}, "token_subject"),
            ({"sub": "x" * 256}, "token_subject"),
            ({"email_verified": False}, "address_unproven"),
            ({"email_verified": "true"}, "address_unproven"),
            ({"email_verified": None}, "address_unproven"),
            ({"email": "nobody"}, "address_malformed"),
            ({"email": "a@b.example\r\nBcc: c@d.example"}, "address_malformed"),
            ({"realm": None}, "no_role"),
            ({"realm": {"roles": ["SOC", "administrator", "analyst"]}}, "no_role"),
            ({"realm": {"roles": ["cust", "audit"]}}, "no_role"),
        ],
    )
    async def test_a_claim_that_is_not_as_it_must_be(self, world, claims, reason):
        world.changed(**claims)
        await world.refused(reason)
        assert await world.store.read(lambda tx: tx.accounts.by_email("ana@example.org")) is None

    @pytest.mark.parametrize(
        ("claim", "seconds", "is_taken"),
        [
            ("exp", -29, True),
            ("exp", -31, False),
            ("iat", 29, True),
            ("iat", 32, False),
            ("nbf", 29, True),
            ("nbf", 32, False),
        ],
    )
    async def test_clocks_may_differ_so_much_and_no_more(self, world, claim, seconds, is_taken):
        world.changed(**{claim: int(world.clock.now().timestamp()) + seconds})
        if is_taken:
            assert await world.sign_in()
        else:
            await world.refused("token_expired" if claim == "exp" else "token_times")

    async def test_several_audiences_with_us_as_authorized_party(self, world):
        world.changed(aud=["other", CLIENT_ID], azp=CLIENT_ID)
        assert await world.sign_in()

    async def test_what_the_installation_requires_of_the_sign_in(self, make_world):
        async with make_world(require_acr=("gold",), require_amr=("otp", "hwk")) as world:
            await world.refused("token_acr")
            world.changed(acr="gold")
            await world.refused("token_amr")
            world.changed(acr="gold", amr=["pwd", "otp"])
            assert await world.sign_in()


class TestCallbacks:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"state": "foreign"}, "callback_state"),
            ({"state": None}, "callback_state"),
            ({"iss": "https://evil.example"}, "callback_issuer"),
            ({"iss": None}, "callback_issuer"),
            ({"code": None}, "callback_without_code"),
            ({"code": "guessed"}, "code_refused"),
            ({"code": "x" * 5000}, "callback_malformed"),
            ({"code": None, "error": "access_denied"}, "denied"),
            ({"code": None, "error": "<script>"}, "provider_error"),
            ({"error": "server_error"}, "provider_error"),
        ],
    )
    async def test_an_answer_that_is_none(self, world, changes, reason):
        await world.refused(reason, **changes)

    async def test_a_callback_is_taken_once(self, world):
        url, secret = await world.oidc.begin("/", BROWSER)
        callback = world.provider.authorized(url)
        await world.oidc.finish(callback, secret, BROWSER)
        with pytest.raises(OidcRefusedError, match="callback_not_begun_here"):
            await world.oidc.finish(callback, secret, BROWSER)
        assert world.provider.asked.count("/token") == 1

    async def test_of_two_at_the_same_moment_one_gets_in(self, world):
        url, secret = await world.oidc.begin("/", BROWSER)
        callback = world.provider.authorized(url)
        came = await asyncio.gather(
            *(world.oidc.finish(callback, secret, BROWSER) for _ in range(4)), return_exceptions=True
        )
        refusals = [item for item in came if isinstance(item, OidcRefusedError)]
        assert len(refusals) == 3
        assert {item.reason for item in refusals} <= {"callback_replayed", "callback_not_begun_here"}

    async def test_a_code_is_no_good_in_another_sign_in(self, world):
        """What an attacker's browser was given does not sign a victim's browser in, nor the other way round."""
        attackers_url, _ = await world.oidc.begin("/", BROWSER)
        attackers = dict(world.provider.authorized(attackers_url))
        url, secret = await world.oidc.begin("/", BROWSER)
        mine = dict(world.provider.authorized(url))
        for forged, reason in ((attackers, "callback_state"), (attackers | {"state": mine["state"]}, "code_refused")):
            with pytest.raises(OidcRefusedError, match=reason):
                await world.oidc.finish(list(forged.items()), secret, BROWSER)

    async def test_a_foreign_callback_uses_nothing_up(self, world):
        url, secret = await world.oidc.begin("/", BROWSER)
        with pytest.raises(OidcRefusedError, match="callback_state"):
            await world.oidc.finish([("state", "x"), ("code", "y")], secret, BROWSER)
        assert await world.oidc.finish(world.provider.authorized(url), secret, BROWSER)

    @pytest.mark.parametrize("secret", ["", "guessed", "é", "x" * 10_000])
    async def test_another_browser_gets_nothing(self, world, secret):
        url, _ = await world.oidc.begin("/", BROWSER)
        with pytest.raises(OidcRefusedError, match="callback_not_begun_here"):
            await world.oidc.finish(world.provider.authorized(url), secret, BROWSER)

    async def test_a_sign_in_that_takes_too_long_is_over(self, world):
        url, secret = await world.oidc.begin("/", BROWSER)
        callback = world.provider.authorized(url)
        world.clock.step(timedelta(seconds=600))
        with pytest.raises(OidcRefusedError, match="callback_not_begun_here"):
            await world.oidc.finish(callback, secret, BROWSER)

    async def test_a_parameter_that_stands_there_twice(self, world):
        url, secret = await world.oidc.begin("/", BROWSER)
        callback = world.provider.authorized(url)
        with pytest.raises(OidcRefusedError, match="callback_malformed"):
            await world.oidc.finish([*callback, callback[0]], secret, BROWSER)

    async def test_a_provider_that_does_not_name_itself_may_leave_it_out(self, world):
        world.provider.change_discovery = lambda right: (
            right | {"authorization_response_iss_parameter_supported": False}
        )
        assert await world.sign_in(iss=None)
        await world.refused("callback_issuer", iss="https://evil.example")


DISCOVERY = "/.well-known/openid-configuration"


class TestProviders:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"issuer": "https://evil.example"}, "provider_issuer"),
            ({"issuer": None}, "provider_issuer"),
            ({"token_endpoint": "http://cloud.example/token"}, "provider_endpoint"),
            ({"token_endpoint": "http://169.254.169.254/latest"}, "provider_endpoint"),
            ({"token_endpoint": "https://169.254.169.254/latest"}, "provider_endpoint"),
            ({"token_endpoint": "https://2852039166/latest"}, "provider_endpoint"),
            ({"token_endpoint": "https://169.0xfea9fe/latest"}, "provider_endpoint"),
            ({"token_endpoint": "https://localhost/token"}, "provider_endpoint"),
            ({"token_endpoint": "https://[::1]/token"}, "provider_endpoint"),
            ({"jwks_uri": "file:///etc/passwd"}, "provider_endpoint"),
            ({"jwks_uri": "https://user:pw@cloud.example/"}, "provider_endpoint"),
            ({"jwks_uri": None}, "provider_endpoint"),
            ({"authorization_endpoint": "javascript:alert(1)"}, "provider_endpoint"),
            ({"authorization_endpoint": "https://x.example/\r\nSet-Cookie: a=b"}, "provider_endpoint"),
            ({"code_challenge_methods_supported": ["plain"]}, "provider_without_pkce"),
        ],
    )
    async def test_a_document_that_is_not_believed(self, world, changes, reason):
        world.provider.change_discovery = lambda right: right | changes
        with pytest.raises(OidcRefusedError) as caught:
            await world.oidc.begin("/", BROWSER)
        assert caught.value.reason == reason

    @pytest.mark.parametrize("path", [DISCOVERY, "/keys", "/token"])
    @pytest.mark.parametrize(
        ("answer", "reason"),
        [(elsewhere, "redirects"), (huge, "answer_too_large"), (nonsense, "answer_malformed"), (never, "unreachable")],
    )
    async def test_an_answer_that_is_none(self, make_world, path, answer, reason):
        async with make_world(timeout_seconds=0.3 if answer is never else 10) as world:
            world.provider.instead[path] = answer
            await world.refused(f"provider_{reason}")

    async def test_a_provider_that_is_down_is_left_alone_for_a_moment(self, world):
        world.provider.instead[DISCOVERY] = nonsense
        await world.refused("provider_answer_malformed")
        await world.refused("provider_unreachable")
        assert world.provider.asked == [DISCOVERY]
        world.provider.instead.clear()
        world.clock.step(timedelta(seconds=5))
        assert await world.sign_in()

    async def test_keys_that_change_are_asked_for_once_a_minute(self, world, other_key):
        await world.sign_in()
        world.provider.key, world.provider.published = other_key, [other_key]
        # Within the minute nobody makes us ask, by whatever they send.
        await world.refused("token_key_unknown")
        await world.refused("token_key_unknown")
        assert world.provider.asked.count("/keys") == 1
        world.clock.step(timedelta(seconds=60))
        assert await world.sign_in()
        assert world.provider.asked.count("/keys") == 2

    async def test_a_key_that_is_taken_back_is_out_within_the_hour(self, world, other_key):
        await world.sign_in()
        world.provider.published = [other_key]
        world.clock.step(timedelta(hours=1, seconds=1))
        await world.refused("token_key_unknown")


class TestAccounts:
    async def test_an_account_made_for_somebody_becomes_theirs(self, make_world):
        async with make_world(create_accounts=False) as world:
            made = await world.account(roles=[Role.APPROVER])
            signed_in, _ = await world.sign_in()
            assert signed_in.account.id == made.id
            # What was granted by hand stays, what claims give is added.
            assert await world.grants(made.id) == {(Role.APPROVER, None, False), (Role.ANALYST, None, True)}

    async def test_an_account_that_somebody_uses_is_not_taken_over(self, world):
        made = await world.account(used=True, roles=[Role.ADMINISTRATOR])
        await world.refused("address_taken")
        assert await world.grants(made.id) == {(Role.ADMINISTRATOR, None, False)}

    async def test_an_address_that_changes_hands_takes_no_account_along(self, world):
        await world.sign_in()
        world.changed(sub="p-2")
        await world.refused("address_taken")

    async def test_no_administrator_is_shown_a_link_to_the_account_of_who_signs_in_here(self, world):
        account = (await world.sign_in())[0].account

        def invited(tx, console_url):
            act = AuditContext("account:administrator", world.clock.now(), SystemIdentifiers())
            given = {"secret": new_link_secret(), "console_url": console_url, "provider_name": "P"}
            return invite(tx, act, account, **given)

        made = await world.store.write(lambda tx: invited(tx, "https://greffier.example"))
        assert (made.shown, made.mailed) == (None, True)
        with pytest.raises(StateConflictError):
            await world.store.write(lambda tx: invited(tx, None))

    async def test_the_address_of_another_domain_takes_no_account(self, make_world):
        async with make_world(create_accounts=False) as world:
            await world.account(email="ana@fass.example")
            world.changed(email="Ana@Faß.example")
            await world.refused("account_unknown")

    async def test_a_person_stays_the_same_under_another_address(self, world):
        first, _ = await world.sign_in()
        world.changed(email="new@example.org", email_verified=None)
        assert (await world.sign_in())[0].account.id == first.account.id

    async def test_nobody_unknown_gets_in_where_that_is_not_wanted(self, make_world):
        async with make_world(create_accounts=False) as world:
            await world.refused("account_unknown")

    async def test_an_inactive_account_stays_out(self, world):
        await world.account(active=False)
        await world.refused("account_inactive")

    async def test_roles_follow_the_claims_and_the_log_says_so(self, world):
        signed_in, _ = await world.sign_in()
        world.changed(realm={"roles": ["boss"]})
        await world.sign_in()
        assert await world.grants(signed_in.account.id) == {(Role.APPROVER, None, True)}
        world.changed(realm={"roles": []})
        await world.refused("no_role")
        assert await world.grants(signed_in.account.id) == set()
        assert await world.store.read(lambda tx: list(tx.sessions.of_account(signed_in.account.id))) == []
        kinds = [kind for kind, actor in await world.entries() if actor == "system:oidc"]
        assert kinds[2:] == ["role.granted", "role.revoked", "role.granted", "role.revoked", "sessions.ended"]

    async def test_a_provider_that_vouches_by_contract_needs_no_claim(self, make_world):
        async with make_world(trust_email=True) as world:
            world.changed(email_verified=False)
            await world.refused("address_unproven")
            world.changed(email_verified=None)
            assert await world.sign_in()


async def test_refusals_are_logged_without_what_they_were_about(world, service_log):
    tokens = []
    world.provider.change_answer = lambda answer: tokens.append(answer["id_token"]) or answer
    world.changed(nonce="wrong-nonce")
    url, secret = await world.oidc.begin("/", BROWSER)
    callback = dict(world.provider.authorized(url))
    with pytest.raises(OidcRefusedError):
        await world.oidc.finish(list(callback.items()), secret, BROWSER)
    logged = service_log.getvalue()
    lines = [json.loads(line) for line in logged.splitlines()]
    assert [line["reason"] for line in lines if line["event"] == "sign_in.refused"] == ["token_nonce"]
    for told in (callback["code"], callback["state"], secret, tokens[0], CLIENT_SECRET, "ana@", "Ana", "wrong-nonce"):
        assert told not in logged
