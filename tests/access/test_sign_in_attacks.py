"""Attacks on signing in that need two things at once: a race, a neighbour at the same address, a stolen password."""

import asyncio
import base64
import contextlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from hypothesis import given, settings
from hypothesis import strategies as st
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from service.auth.rate_limits import TooManyRequestsError
from service.auth.sign_in.passkeys import PasskeyRefusedError, verified_count, verified_enrolment
from service.auth.sign_in.pending_sign_in import SignInOverError
from service.auth.sign_in.sign_in import SecondFactorWanted, SignInRefusedError
from service.auth.sign_in.throttling import Throttling
from service.ports.credentials import Password
from service.store import open_store
from support.clocks import SteppedClock
from support.sign_in_house import ELSEWHERE, HOME, PASSWORD, Authenticator, Browser, House
from support.sqlite_file import new_database

ADA = "ada@provider.example"
WRONG = "guess guess guess"


@pytest.fixture
async def house(tmp_path):
    store = open_store(new_database(tmp_path / "store.sqlite3"), migrate=False)
    yield House.on(store, SteppedClock())
    await store.close()


async def guess(house, browser, email=ADA):
    try:
        await house.sign_in.with_password(email, WRONG, browser)
    except (SignInRefusedError, TooManyRequestsError) as refused:
        return refused
    raise AssertionError("a guess was taken")


async def with_totp(house, account):
    """Enrol a generator; returns how to make its code of now."""
    caller = await house.caller_of(await house.sign_in.start_session(account, "password", HOME))
    seed = (await house.own.begin_totp(caller)).secret

    def code(shift=0):
        at = int(house.clock.now().timestamp()) + 30 * shift
        return TOTP(base64.b32decode(seed), 6, SHA1(), 30).generate(at).decode()

    await house.own.confirm_totp(caller, code(), HOME)
    house.clock.step(timedelta(seconds=60))
    return code


async def test_a_neighbour_at_the_same_address_delays_no_known_browser(house):
    await house.person(ADA)
    known = replace(HOME, device=(await house.sign_in.with_password(ADA, PASSWORD, HOME)).device)
    for number in range(40):
        await guess(house, HOME, f"user{number}@provider.example")
    with pytest.raises(TooManyRequestsError):
        await house.sign_in.with_password(ADA, PASSWORD, HOME)
    assert (await house.sign_in.with_password(ADA, PASSWORD, known)).account.email == ADA


@pytest.mark.parametrize("wrong", [2, 12])
async def test_a_clock_that_was_ahead_and_is_set_right_makes_nobody_wait(house, wrong):
    """The attempts before the change lie in the future then, also those that earned a wait."""
    await house.person(ADA)
    for _ in range(wrong):
        await house.sign_in.passkey_options(HOME)
        with pytest.raises((SignInRefusedError, TooManyRequestsError)):
            await house.sign_in.with_password(ADA, "wrong", HOME)
    house.clock.step(timedelta(hours=-6))
    await house.sign_in.passkey_options(HOME)
    assert await house.sign_in.with_password(ADA, PASSWORD, HOME)


async def test_whoever_has_the_password_keeps_its_owner_from_no_code(house):
    account = await house.person(ADA)
    code = await with_totp(house, account)
    device = (await house.sign_in.start_session(account, "password+totp", HOME)).device
    known = replace(HOME, device=device)
    # A fixed code is right once in a while.
    wrong = next(str(digit) * 6 for digit in range(10) if str(digit) * 6 not in {code(shift) for shift in range(-3, 4)})
    waits = 0
    for _ in range(6):
        wanted = await house.sign_in.with_password(ADA, PASSWORD, ELSEWHERE)
        for _ in range(3):
            with pytest.raises((SignInRefusedError, TooManyRequestsError)) as refused:
                await house.sign_in.with_code(wanted.pending_secret, wrong, ELSEWHERE)
            waits += refused.type is TooManyRequestsError
    assert waits >= 10
    wanted = await house.sign_in.with_password(ADA, PASSWORD, known)
    assert (await house.sign_in.with_code(wanted.pending_secret, code(), known)).method == "password+totp"


async def test_an_account_of_ones_own_pays_for_no_guesses_at_others(house):
    await house.person("eve@provider.example")
    taken = 0
    for number in range(60):
        taken += isinstance(await guess(house, ELSEWHERE, f"user{number}@provider.example"), SignInRefusedError)
        try:
            await house.sign_in.with_password("eve@provider.example", PASSWORD, ELSEWHERE)
        except TooManyRequestsError:
            continue
    assert taken <= 21


async def test_a_success_on_the_sixth_attempt_is_no_alarm(house):
    await house.person(ADA)
    for _ in range(5):
        await guess(house, HOME)
    await house.sign_in.with_password(ADA, PASSWORD, HOME)
    assert "sign_in.throttled" not in [entry["type"] for entry in await house.entries()]


async def test_a_password_that_is_reset_while_it_is_compared_starts_no_session(house):
    account = await house.person(ADA)
    secret = await house.store.write(lambda tx: house.links.reset(tx, house.act(), account))
    compare = house.sign_in.passwords.fits

    async def slowly(*arguments):
        fits = await compare(*arguments)
        await house.links.accept(secret, "another horse entirely", ELSEWHERE)
        return fits

    house.sign_in.passwords.fits = slowly
    with pytest.raises(SignInRefusedError):
        await house.sign_in.with_password(ADA, PASSWORD, HOME)
    assert await house.store.read(lambda tx: tx.sessions.of_account(account.id)) == []


async def test_a_second_factor_completes_no_sign_in_by_a_password_that_was_reset_meanwhile(house):
    account = await house.person(ADA)
    code = await with_totp(house, account)
    begun = await house.sign_in.with_password(ADA, PASSWORD, ELSEWHERE)
    assert isinstance(begun, SecondFactorWanted)
    link = await house.store.write(lambda tx: house.links.reset(tx, house.act(), account))
    await house.links.accept(link, "another horse entirely", HOME)
    with pytest.raises(SignInOverError):
        await house.sign_in.with_code(begun.pending_secret, code(), ELSEWHERE)
    with pytest.raises(SignInOverError):
        await house.sign_in.passkey_options(ELSEWHERE, begun.pending_secret)


async def test_a_hash_of_weaker_parameters_is_made_anew_and_nothing_else_changes(house):
    account = await house.person(ADA)
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    before = Password(account.id, weak, house.clock.now())
    await house.store.write(lambda tx: tx.credentials.set_password(before))
    await house.sign_in.with_password(ADA, PASSWORD, HOME)
    after = await house.store.read(lambda tx: tx.credentials.password(account.id))
    assert after.hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert replace(after, hash=weak) == before
    await house.sign_in.with_password(ADA, PASSWORD, HOME)
    assert (await house.store.read(lambda tx: tx.credentials.password(account.id))) == after


async def test_one_code_signs_in_once_however_many_send_it_at_once(house):
    account = await house.person(ADA)
    code = (await with_totp(house, account))()
    wanted = [await house.sign_in.with_password(ADA, PASSWORD, HOME) for _ in range(4)]
    results = await asyncio.gather(
        *(house.sign_in.with_code(one.pending_secret, code, HOME) for one in wanted), return_exceptions=True
    )
    assert sum(not isinstance(result, Exception) for result in results) == 1


async def test_a_cookie_that_was_there_before_is_never_taken_over(house):
    account = await house.person(ADA)
    first = await house.sign_in.with_password(ADA, PASSWORD, HOME)
    second = await house.sign_in.with_password(ADA, PASSWORD, HOME)
    assert first.session_secret != second.session_secret
    await with_totp(house, account)
    wanted = await house.sign_in.with_password(ADA, PASSWORD, HOME)
    assert isinstance(wanted, SecondFactorWanted)
    for other in (first.session_secret, second.session_secret):
        with pytest.raises(SignInOverError):
            await house.sign_in.with_code(other, "000000", HOME)
    shown = repr((first, wanted))
    assert not any(secret in shown for secret in (first.session_secret, first.device, wanted.pending_secret))


class TestPasskeys:
    async def enrolled(self, house):
        account = await house.person(ADA)
        authenticator = Authenticator()
        caller = await house.caller_of(await house.sign_in.start_session(account, "password+totp", HOME))
        options = await house.own.passkey_enrolment_options(caller)
        await house.own.add_passkey(caller, authenticator.create(options), "Laptop", HOME)
        return account, authenticator

    async def test_a_copy_of_the_authenticator_is_told_apart_from_a_forgery(self, house, service_log):
        _, authenticator = await self.enrolled(house)
        options, pending = await house.sign_in.passkey_options(HOME)
        authenticator.count = 0
        with pytest.raises(SignInRefusedError):
            await house.sign_in.with_passkey(pending, authenticator.get(options), HOME)
        assert "counter_went_back" in service_log.getvalue()
        options, pending = await house.sign_in.passkey_options(HOME)
        authenticator.count = 0
        forged = json.loads(authenticator.get(options))
        signature = bytearray(base64url_to_bytes(forged["response"]["signature"]))
        signature[-1] ^= 1
        forged["response"]["signature"] = bytes_to_base64url(bytes(signature))
        with pytest.raises(SignInRefusedError):
            await house.sign_in.with_passkey(pending, json.dumps(forged), HOME)
        assert service_log.getvalue().count("counter_went_back") == 1
        assert ADA not in service_log.getvalue()

    async def test_without_a_password_the_answer_names_its_user(self, house):
        _, authenticator = await self.enrolled(house)
        authenticator.user_handle = None
        options, pending = await house.sign_in.passkey_options(HOME)
        with pytest.raises(SignInRefusedError):
            await house.sign_in.with_passkey(pending, authenticator.get(options), HOME)
        wanted = await house.sign_in.with_password(ADA, PASSWORD, HOME)
        options, pending = await house.sign_in.passkey_options(HOME, wanted.pending_secret)
        result = await house.sign_in.with_passkey(pending, authenticator.get(options), HOME)
        assert result.method == "password+passkey"

    async def test_two_answers_with_one_count_sign_in_once(self, house):
        _, authenticator = await self.enrolled(house)
        answers = []
        for _ in range(2):
            options, pending = await house.sign_in.passkey_options(HOME)
            authenticator.count = 1
            answers.append((pending, authenticator.get(options)))
        results = await asyncio.gather(
            *(house.sign_in.with_passkey(pending, answer, HOME) for pending, answer in answers), return_exceptions=True
        )
        assert sorted(isinstance(result, SignInRefusedError) for result in results) == [False, True]

    async def test_a_passkey_gets_in_while_a_stranger_hammers_the_account_from_there(self, house):
        _, authenticator = await self.enrolled(house)
        for _ in range(30):
            await guess(house, HOME)
        options, pending = await house.sign_in.passkey_options(HOME)
        assert (await house.sign_in.with_passkey(pending, authenticator.get(options), HOME)).method == "passkey"

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_no_changed_byte_of_an_answer_is_taken_or_breaks_anything(self, data):
        challenge, authenticator = b"c" * 32, Authenticator()
        text = bytes_to_base64url(challenge)
        made = authenticator.create(json.dumps({"challenge": text, "user": {"id": "AAAA"}}))
        of_service = {"rp_id": authenticator.rp_id, "origin": authenticator.origin}
        credential_id, public_key, count = verified_enrolment(made, challenge, **of_service)
        assert credential_id == authenticator.credential_id
        answer = json.loads(made)
        part = data.draw(st.sampled_from(["clientDataJSON", "attestationObject"]))
        raw = bytearray(base64url_to_bytes(answer["response"][part]))
        raw[data.draw(st.integers(0, 9999)) % len(raw)] ^= data.draw(st.integers(1, 255))
        answer["response"][part] = bytes_to_base64url(bytes(raw))
        # Nothing signs an enrolment without attestation: what is read differs, or it is refused; nothing else happens.
        with contextlib.suppress(PasskeyRefusedError):
            verified_enrolment(json.dumps(answer), challenge, **of_service)
        signed = json.loads(authenticator.get(json.dumps({"challenge": text})))
        passkey = _passkey(credential_id, public_key, count)
        assert verified_count(json.dumps(signed), challenge, passkey, **of_service) == 2
        part = data.draw(st.sampled_from(["clientDataJSON", "authenticatorData", "signature"]))
        raw = bytearray(base64url_to_bytes(signed["response"][part]))
        raw[data.draw(st.integers(0, 9999)) % len(raw)] ^= data.draw(st.integers(1, 255))
        signed["response"][part] = bytes_to_base64url(bytes(raw))
        with pytest.raises(PasskeyRefusedError):
            verified_count(json.dumps(signed), challenge, passkey, **of_service)


def _passkey(credential_id, public_key, count):
    from datetime import UTC, datetime
    from uuid import uuid4

    from service.ports.credentials import Passkey

    return Passkey(uuid4(), uuid4(), credential_id, public_key, count, "N", datetime.now(UTC), None)


class InMemory:
    """A store that holds only throttles, in a dict: it counts as a database does, and thousands of steps are fast."""

    def __init__(self):
        self.throttles = {}
        self.sessions = self

    async def write(self, work):
        return work(self)

    def throttle(self, key):
        return self.throttles.get(key)

    def save_throttle(self, throttle):
        self.throttles[throttle.key] = throttle

    def clear_throttle(self, key):
        self.throttles.pop(key, None)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["account", "codes"]),
            st.sampled_from([HOME.address, "203.0.113.1", "203.0.113.2"]),
            st.sampled_from([None, "of another", "forged"]),
            st.booleans(),
            st.integers(0, 4000),
        ),
        max_size=120,
    )
)
async def test_nothing_that_strangers_do_delays_a_known_browser(steps):
    from uuid import uuid4

    clock, secret_box = SteppedClock(), House.on(_Hooks(), SteppedClock()).secret_box
    throttling, owner, other = Throttling(InMemory(), clock, secret_box), uuid4(), uuid4()
    known = replace(HOME, device=throttling.new_device(owner))
    devices = {None: None, "of another": throttling.new_device(other), "forged": known.device[:-8] + "AAAAAAAA"}
    for what, address, device, succeeds, seconds in steps:
        stranger = Browser(address, device=devices[device])
        counted = throttling.of_guesses(what, ADA, owner, stranger)
        with contextlib.suppress(TooManyRequestsError):
            await throttling.begin(*counted)
            if succeeds:
                await throttling.succeeded(*counted)
        clock.step(timedelta(seconds=seconds))
        for guarded in ("account", "codes"):
            own = throttling.of_guesses(guarded, ADA, owner, known)
            assert await throttling.begin(*own) is False
            await throttling.succeeded(*own)


class _Hooks:
    def __init__(self):
        self.on_commit = []
