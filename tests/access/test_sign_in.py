"""Signing in on a real store: passwords, codes, passkeys, sessions, links, and those who try to get in without."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.errors import InvalidInputError, NotFoundError, StateConflictError
from service.auth.authentication import session_digest
from service.auth.rate_limits import TooManyRequestsError
from service.auth.sign_in.links import LinkVoidError
from service.auth.sign_in.passwords import password_fault
from service.auth.sign_in.pending_sign_in import SignInOverError
from service.auth.sign_in.second_factors import matching_step
from service.auth.sign_in.sessions import SignedIn
from service.auth.sign_in.sign_in import SecondFactorWanted, SignInAgainError, SignInRefusedError
from service.auth.sign_in.throttling import wait_after
from service.ports.accounts import Role
from service.ports.mails import ServiceMail
from service.store import open_store
from support.clocks import SteppedClock
from support.sign_in_house import ELSEWHERE, HOME, PASSWORD, Authenticator, Browser, House
from support.sqlite_file import new_database

ADA = "ada@provider.example"


@pytest.fixture
async def house(tmp_path):
    store = open_store(new_database(tmp_path / "store.sqlite3"), migrate=False)
    yield House.on(store, SteppedClock())
    await store.close()


def code_of(secret, at):
    return TOTP(base64.b32decode(secret), 6, SHA1(), 30).generate(int(at.timestamp())).decode()


def wrong_code_of(secret, at):
    """Return a code that no step near a moment has: a fixed one is right once in a while."""
    right = {code_of(secret, at + timedelta(seconds=30 * step)) for step in range(-3, 4)}
    return next(code for code in (f"{number:06d}" for number in range(10)) if code not in right)


async def signed_in(house, email=ADA, browser=HOME):
    result = await house.sign_in.with_password(email, PASSWORD, browser)
    assert isinstance(result, SignedIn)
    return result


async def with_totp(house):
    """Enrol a generator for Ada; returns its secret."""
    caller = await house.caller_of(await signed_in(house))
    enrolment = await house.own.begin_totp(caller)
    await house.own.confirm_totp(caller, code_of(enrolment.secret, house.clock.now()), HOME)
    house.clock.step(timedelta(seconds=60))
    return enrolment.secret


class TestPassword:
    async def test_the_right_one_starts_a_session_and_gives_a_device(self, house):
        await house.person(ADA)
        result = await signed_in(house)
        stored = await house.store.read(lambda tx: tx.sessions.get(session_digest(result.session_secret)))
        assert stored.id == result.session_id
        assert stored.method == "password"
        assert not result.must_enrol
        assert "session.started" in [entry["type"] for entry in await house.entries()]

    async def test_the_address_is_found_however_it_is_written(self, house):
        await house.person(ADA)
        assert isinstance(await house.sign_in.with_password(f"  {ADA.upper()} ", PASSWORD, HOME), SignedIn)

    async def test_every_refusal_is_alike_and_costs_the_same(self, house):
        await house.person(ADA)
        await house.person("gone@provider.example", active=False)
        await house.person("nokey@provider.example", password=None)
        for email in (ADA, "nobody@provider.example", "gone@provider.example", "nokey@provider.example", "", "\udc80"):
            before = house.sign_in.passwords.comparisons
            wrong = PASSWORD if email == "gone@provider.example" else "wrong password of mine"
            with pytest.raises(SignInRefusedError, match="the sign-in was refused"):
                await house.sign_in.with_password(email, wrong, HOME)
            assert house.sign_in.passwords.comparisons == before + 1

    async def test_whoever_acts_at_the_provider_must_enrol_a_second_factor(self, house):
        await house.person(ADA, Role.ANALYST)
        assert (await signed_in(house)).must_enrol

    @pytest.mark.parametrize(
        ("password", "taken"),
        [
            (PASSWORD, True), ("short", False), ("x" * 12, False), ("123456789012", False), ("a" * 257, False),
            (ADA, False), (ADA.upper(), False), ("ünïcödé pässwörd", True), ("Motdepasse123", False),
        ],
    )  # fmt: skip
    def test_what_is_taken(self, password, taken):
        assert (password_fault(password, ADA) is None) == taken

    async def test_the_same_letters_typed_on_another_system_are_the_same(self, house):
        await house.person(ADA, password="Pa\u0308sswo\u0308rter zaehlen")
        assert isinstance(await house.sign_in.with_password(ADA, "P\u00e4ssw\u00f6rter zaehlen", HOME), SignedIn)


class TestThrottling:
    async def test_a_stranger_cannot_lock_out_whoever_signed_in_here_before(self, house):
        await house.person(ADA)
        known = replace(HOME, device=(await signed_in(house)).device)
        refused = 0
        for number in range(200):
            try:
                await house.sign_in.with_password(ADA, "guess guess guess", Browser(f"203.0.113.{number}"))
            except SignInRefusedError:
                refused += 1
            except TooManyRequestsError:
                pass
        assert refused <= 6
        assert isinstance(await house.sign_in.with_password(ADA, PASSWORD, known), SignedIn)
        with pytest.raises(TooManyRequestsError):
            await house.sign_in.with_password(ADA, PASSWORD, ELSEWHERE)

    async def test_a_device_of_somebody_else_or_forged_is_a_stranger(self, house):
        await house.person(ADA)
        await house.person("eve@provider.example")
        of_eve = (await signed_in(house, "eve@provider.example", ELSEWHERE)).device
        forged = base64.urlsafe_b64encode(base64.urlsafe_b64decode(of_eve + "==")[::-1]).decode()
        for _ in range(6):
            with pytest.raises(SignInRefusedError):
                await house.sign_in.with_password(ADA, "guess guess guess", ELSEWHERE)
        for device in (of_eve, forged, "", "x", "é", "=" * 50):
            with pytest.raises(TooManyRequestsError):
                await house.sign_in.with_password(ADA, PASSWORD, replace(ELSEWHERE, device=device))

    async def test_one_password_on_many_accounts_is_slowed_down_by_address(self, house):
        outcomes = []
        for number in range(40):
            try:
                await house.sign_in.with_password(f"user{number}@provider.example", "Summer 2026 is here", ELSEWHERE)
            except SignInRefusedError:
                outcomes.append("refused")
            except TooManyRequestsError:
                outcomes.append("wait")
        assert outcomes == ["refused"] * 21 + ["wait"] * 19

    async def test_attempts_at_the_same_moment_are_all_counted(self, house):
        import asyncio

        await house.person(ADA)
        results = await asyncio.gather(
            *(house.sign_in.with_password(ADA, f"guess number {n}", Browser(f"203.0.113.{n}")) for n in range(40)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, SignInRefusedError) for result in results) == 6

    async def test_waiting_is_told_and_true_and_success_forgets(self, house):
        await house.person(ADA)
        for _ in range(6):
            with pytest.raises(SignInRefusedError):
                await house.sign_in.with_password(ADA, "guess guess guess", HOME)
        with pytest.raises(TooManyRequestsError) as wait:
            await house.sign_in.with_password(ADA, PASSWORD, HOME)
        house.clock.step(timedelta(seconds=wait.value.retry_after_seconds, milliseconds=1))
        known = replace(HOME, device=(await signed_in(house)).device)
        for _ in range(2):
            for _ in range(5):
                with pytest.raises(SignInRefusedError):
                    await house.sign_in.with_password(ADA, "guess guess guess", known)
            await signed_in(house, browser=known)
        types = [entry["type"] for entry in await house.entries()]
        assert types.count("sign_in.throttled") == 1

    @given(st.integers(-5, 200))
    def test_the_wait_grows_and_has_an_end(self, failures):
        assert wait_after(failures) <= wait_after(failures + 1) <= timedelta(minutes=15)
        assert (wait_after(failures) == timedelta()) == (failures <= 0)


class TestCodes:
    # RFC 6238, appendix B: SHA-1, eight digits there, of which six are the last.
    @pytest.mark.parametrize(
        ("seconds", "code"),
        [
            (59, "287082"),
            (1111111109, "081804"),
            (1111111111, "050471"),
            (1234567890, "005924"),
            (2000000000, "279037"),
        ],
    )
    def test_published_vectors(self, seconds, code):
        from datetime import UTC, datetime

        at = datetime.fromtimestamp(seconds, UTC)
        assert matching_step(b"12345678901234567890", code, at, 0) == seconds // 30
        assert matching_step(b"12345678901234567890", code, at, seconds // 30) is None
        assert matching_step(b"12345678901234567891", code, at, 0) is None

    async def test_a_generator_is_asked_for_and_its_code_taken_once(self, house):
        await house.person(ADA, Role.ANALYST)
        secret = await with_totp(house)
        wanted = await house.sign_in.with_password(ADA, PASSWORD, HOME)
        assert isinstance(wanted, SecondFactorWanted)
        assert (wanted.totp, wanted.passkey, wanted.recovery_code) == (True, False, False)
        code = code_of(secret, house.clock.now())
        result = await house.sign_in.with_code(wanted.pending_secret, code, HOME)
        assert not result.must_enrol
        again = await house.sign_in.with_password(ADA, PASSWORD, HOME)
        with pytest.raises(SignInRefusedError):
            await house.sign_in.with_code(again.pending_secret, code, HOME)
        with pytest.raises(SignInOverError):
            await house.sign_in.with_code(wanted.pending_secret, code, HOME)

    @pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "12 34 56", "\udc80" * 6])
    async def test_what_is_no_code_is_refused(self, house, typed):
        await house.person(ADA)
        await with_totp(house)
        wanted = await house.sign_in.with_password(ADA, PASSWORD, HOME)
        with pytest.raises(SignInRefusedError):
            await house.sign_in.with_code(wanted.pending_secret, typed, HOME)

    async def test_the_fifth_wrong_code_ends_the_sign_in(self, house):
        await house.person(ADA)
        secret = await with_totp(house)
        wanted = await house.sign_in.with_password(ADA, PASSWORD, HOME)
        wrong = wrong_code_of(secret, house.clock.now())
        for _ in range(5):
            with pytest.raises(SignInRefusedError):
                await house.sign_in.with_code(wanted.pending_secret, wrong, HOME)
        with pytest.raises(SignInOverError):
            await house.sign_in.with_code(wanted.pending_secret, code_of(secret, house.clock.now()), HOME)

    async def test_half_way_it_ends_by_itself_and_in_no_other_browser(self, house):
        await house.person(ADA)
        secret = await with_totp(house)
        wanted = await house.sign_in.with_password(ADA, PASSWORD, HOME)
        for other in ("", "x", "é"):
            with pytest.raises(SignInOverError):
                await house.sign_in.with_code(other, code_of(secret, house.clock.now()), HOME)
        house.clock.step(timedelta(minutes=10))
        with pytest.raises(SignInOverError):
            await house.sign_in.with_code(wanted.pending_secret, code_of(secret, house.clock.now()), HOME)

    async def test_recovery_codes_work_once_each_and_new_ones_void_the_old(self, house):
        await house.person(ADA)
        await with_totp(house)
        await with_codes(house)
        caller = await house.caller_of(await by_code(house, (codes := await with_codes(house))[0].lower()))
        wanted = await house.sign_in.with_password(ADA, PASSWORD, HOME)
        with pytest.raises(SignInRefusedError):
            await house.sign_in.with_code(wanted.pending_secret, codes[0], HOME)
        renewed = await house.own.new_recovery_codes(caller)
        assert len(set(renewed)) == 10
        with pytest.raises(SignInRefusedError):
            await house.sign_in.with_code(wanted.pending_secret, codes[1], HOME)
        assert (await by_code(house, renewed[3])).method == "password+recovery_code"
        stored = await house.store.read(lambda tx: tx.credentials.recovery_codes(caller.account_id))
        assert not any(code.replace("-", "").encode() in item.digest for item in stored for code in renewed)


async def with_codes(house):
    account = await house.store.read(lambda tx: tx.accounts.by_email(ADA))
    started = await house.sign_in.start_session(account, "passkey", HOME)
    return await house.own.new_recovery_codes(await house.caller_of(started))


async def by_code(house, code):
    wanted = await house.sign_in.with_password(ADA, PASSWORD, HOME)
    return await house.sign_in.with_code(wanted.pending_secret, code, HOME)


async def enrolled(house, authenticator=None):
    """Enrol a passkey for Ada; returns the authenticator."""
    authenticator = authenticator or Authenticator()
    account = await house.store.read(lambda tx: tx.accounts.by_email(ADA))
    caller = await house.caller_of(await house.sign_in.start_session(account, "password+totp", HOME))
    options = await house.own.passkey_enrolment_options(caller)
    await house.own.add_passkey(caller, authenticator.create(options), "Laptop", HOME)
    return authenticator


class TestPasskeys:
    async def test_it_signs_in_without_a_password_and_without_a_name(self, house):
        await house.person(ADA, Role.ANALYST, password=None)
        authenticator = await enrolled(house)
        options, pending = await house.sign_in.passkey_options(HOME)
        result = await house.sign_in.with_passkey(pending, authenticator.get(options), HOME)
        assert (result.account.email, result.method, result.must_enrol) == (ADA, "passkey", False)
        (stored,) = await house.store.read(lambda tx: tx.credentials.passkeys(result.account.id))
        assert stored.sign_count == authenticator.count

    async def test_it_is_a_second_factor_too(self, house):
        await house.person(ADA)
        authenticator = await enrolled(house)
        wanted = await house.sign_in.with_password(ADA, PASSWORD, HOME)
        assert wanted.passkey
        options, pending = await house.sign_in.passkey_options(HOME, wanted.pending_secret)
        assert pending == wanted.pending_secret
        result = await house.sign_in.with_passkey(pending, authenticator.get(options), HOME)
        assert result.method == "password+passkey"

    async def test_a_passkey_of_another_account_is_no_second_factor(self, house):
        await house.person(ADA)
        of_ada = await enrolled(house)
        eve = await house.person("eve@provider.example")
        caller = await house.caller_of(await house.sign_in.start_session(eve, "oidc", HOME))
        of_eve = Authenticator()
        await house.own.add_passkey(
            caller, of_eve.create(await house.own.passkey_enrolment_options(caller)), "Eve's", HOME
        )
        wanted = await house.sign_in.with_password(ADA, PASSWORD, ELSEWHERE)
        options, pending = await house.sign_in.passkey_options(ELSEWHERE, wanted.pending_secret)
        with pytest.raises(SignInRefusedError):
            await house.sign_in.with_passkey(pending, of_eve.get(options), ELSEWHERE)
        assert of_ada.credential_id != of_eve.credential_id

    @pytest.mark.parametrize(
        "attack", ["origin", "rp", "challenge", "replay", "count", "unverified", "unknown", "junk"]
    )
    async def test_what_is_no_proof_is_refused(self, house, attack):
        await house.person(ADA)
        authenticator = await enrolled(house)
        options, pending = await house.sign_in.passkey_options(HOME)
        if attack == "origin":
            authenticator.origin = "https://console.provider.example.evil.example"
        elif attack == "rp":
            authenticator.rp_id = "evil.example"
        elif attack == "challenge":
            options, _ = await house.sign_in.passkey_options(HOME)
        elif attack == "count":
            authenticator.count = 0
        elif attack == "unknown":
            authenticator.credential_id = b"x" * 32
        answer = "{}" if attack == "junk" else authenticator.get(options, 0x01 if attack == "unverified" else 0x05)
        if attack == "replay":
            await house.sign_in.with_passkey(pending, answer, HOME)
            with pytest.raises(SignInOverError):
                await house.sign_in.with_passkey(pending, answer, HOME)
            options, pending = await house.sign_in.passkey_options(HOME)
        with pytest.raises(SignInRefusedError):
            await house.sign_in.with_passkey(pending, answer, HOME)
        # The challenge is used up whatever came of it.
        with pytest.raises(SignInOverError):
            await house.sign_in.with_passkey(pending, Authenticator().get(options), HOME)

    @settings(max_examples=40, deadline=None)
    @given(text=st.text(max_size=60) | st.recursive(st.none() | st.integers(), st.lists).map(repr))
    def test_whatever_a_browser_answers_is_refused_and_no_crash(self, text):
        from service.auth.sign_in.passkeys import PasskeyRefusedError, answered_credential, verified_enrolment

        for read in (
            lambda: answered_credential(text),
            lambda: verified_enrolment(text, b"c" * 32, rp_id="x", origin="https://x"),
        ):
            with pytest.raises(PasskeyRefusedError):
                read()

    async def test_an_enrolment_of_another_origin_or_a_second_time_is_refused(self, house):
        await house.person(ADA)
        authenticator = await enrolled(house)
        caller = await house.caller_of(
            await house.sign_in.start_session(
                await house.store.read(lambda tx: tx.accounts.by_email(ADA)), "oidc", HOME
            )
        )
        with pytest.raises(StateConflictError):
            await house.own.add_passkey(caller, "{}", "N", HOME)
        options = await house.own.passkey_enrolment_options(caller)
        with pytest.raises(StateConflictError, match="known"):
            await house.own.add_passkey(caller, authenticator.create(options), "N", HOME)
        options = await house.own.passkey_enrolment_options(caller)
        with pytest.raises(InvalidInputError, match="credential"):
            await house.own.add_passkey(caller, Authenticator("https://evil.example").create(options), "N", HOME)


class TestOwnCredentials:
    async def test_a_changed_password_ends_every_other_session_and_replaces_this_one(self, house):
        await house.person(ADA)
        here, there = await signed_in(house), await signed_in(house, browser=ELSEWHERE)
        caller = await house.caller_of(here)
        with pytest.raises(InvalidInputError, match="old"):
            await house.own.change_password(caller, "wrong wrong wrong", "another horse entirely", HOME)
        with pytest.raises(InvalidInputError, match="new"):
            await house.own.change_password(caller, PASSWORD, "short", HOME)
        replaced = await house.own.change_password(caller, PASSWORD, "another horse entirely", HOME)
        left = await house.store.read(lambda tx: tx.sessions.of_account(caller.account_id))
        assert [session.id for session in left] == [replaced.session_id]
        assert replaced.session_secret not in {here.session_secret, there.session_secret}
        with pytest.raises(SignInRefusedError):
            await house.sign_in.with_password(ADA, PASSWORD, HOME)

    async def test_an_old_session_or_a_token_changes_no_credential(self, house):
        await house.person(ADA)
        caller = await house.caller_of(await signed_in(house))
        with pytest.raises(SignInAgainError):
            await house.own.begin_totp(replace(caller, session_id=None))
        house.clock.step(timedelta(minutes=31))
        for change in (house.own.begin_totp, house.own.new_recovery_codes, house.own.passkey_enrolment_options):
            with pytest.raises(SignInAgainError):
                await change(caller)

    async def test_the_last_second_factor_stays_where_one_is_required(self, house):
        await house.person(ADA, Role.APPROVER)
        await with_totp(house)
        account = await house.store.read(lambda tx: tx.accounts.by_email(ADA))
        caller = await house.caller_of(await house.sign_in.start_session(account, "password+totp", HOME))
        with pytest.raises(StateConflictError, match="second factor is required"):
            await house.own.remove_totp(caller, HOME)
        await enrolled(house)
        caller = await house.caller_of(await house.sign_in.start_session(account, "passkey", HOME))
        await house.own.remove_totp(caller, HOME)
        assert (await house.store.read(lambda tx: tx.credentials.totp(account.id))) is None

    async def test_a_seed_is_stored_sealed_and_for_this_account_alone(self, house):
        await house.person(ADA)
        secret = await with_totp(house)
        account = await house.store.read(lambda tx: tx.accounts.by_email(ADA))
        stored = await house.store.read(lambda tx: tx.credentials.totp(account.id))
        assert base64.b32decode(secret) not in stored.sealed_seed
        assert house.secret_box.open(stored.sealed_seed, purpose="totp", owner=str(account.id)) == base64.b32decode(
            secret
        )

    async def test_somebody_elses_passkey_is_not_there(self, house):
        await house.person(ADA)
        await enrolled(house)
        account = await house.store.read(lambda tx: tx.accounts.by_email(ADA))
        (of_ada,) = await house.store.read(lambda tx: tx.credentials.passkeys(account.id))
        eve = await house.person("eve@provider.example")
        caller = await house.caller_of(await house.sign_in.start_session(eve, "oidc", HOME))
        with pytest.raises(NotFoundError):
            await house.own.remove_passkey(caller, of_ada.id, HOME)
        with pytest.raises(NotFoundError):
            await house.own.rename_passkey(caller, of_ada.id, "mine")


class TestSessions:
    async def test_signing_out_here_and_everywhere(self, house):
        account = await house.person(ADA)
        first, second, third = [await signed_in(house) for _ in range(3)]
        eve = await house.person("eve@provider.example")
        await house.sign_in.sign_out(eve.id, first.session_id)
        assert len(await house.store.read(lambda tx: tx.sessions.of_account(account.id))) == 3
        await house.sign_in.sign_out(account.id, first.session_id)
        assert await house.sign_in.sign_out_everywhere(account.id, but=third.session_id) == 1
        left = await house.store.read(lambda tx: tx.sessions.of_account(account.id))
        assert [session.id for session in left] == [third.session_id]
        assert second.session_id != third.session_id

    async def test_an_account_made_inactive_starts_none(self, house):
        account = await house.person(ADA)
        await house.store.write(lambda tx: tx.accounts.save(replace(account, active=False, version=2), 1))
        with pytest.raises(SignInRefusedError):
            await house.sign_in.start_session(account, "oidc", HOME)


class TestLinks:
    async def invited(self, house):
        account = await house.person(ADA, password=None)
        secret = await house.store.write(lambda tx: house.links.invite(tx, house.act(), account))
        return account, secret

    async def test_an_invitation_sets_the_password_once(self, house):
        account, secret = await self.invited(house)
        assert (await house.links.account_of(secret)).id == account.id
        with pytest.raises(InvalidInputError, match="password"):
            await house.links.accept(secret, "short", HOME)
        await house.links.accept(secret, PASSWORD, HOME)
        await signed_in(house)
        with pytest.raises(LinkVoidError):
            await house.links.accept(secret, PASSWORD, HOME)

    async def test_a_link_is_void_when_it_is_old_replaced_or_its_address_has_changed(self, house):
        account, first = await self.invited(house)
        second = await house.store.write(lambda tx: house.links.invite(tx, house.act(), account))
        for void in (first, "", "x" * 43):
            with pytest.raises(LinkVoidError):
                await house.links.account_of(void)
        moved = replace(account, email="elsewhere@provider.example", version=2)
        await house.store.write(lambda tx: tx.accounts.save(moved, 1))
        with pytest.raises(LinkVoidError):
            await house.links.accept(second, PASSWORD, HOME)
        third = await house.store.write(lambda tx: house.links.invite(tx, house.act(), moved))
        house.clock.step(timedelta(hours=72))
        with pytest.raises(LinkVoidError):
            await house.links.accept(third, PASSWORD, HOME)

    async def test_a_reset_is_mailed_to_who_exists_and_tells_nobody_who_does(self, house):
        account = await house.person(ADA)
        old = await signed_in(house)
        sent = []

        def mail(act, whom, secret):
            sent.append(secret)
            return ServiceMail(
                act.identifiers.new_id(), "reset", whom.email, whom.name, "en", "Reset", f"link {secret}", act.now
            )

        for email in (ADA, "nobody@provider.example", ADA):
            assert await house.links.request_reset(email, HOME, mail) is None
        assert len(sent) == 1
        await house.links.accept(sent[0], "another horse entirely", HOME)
        assert await house.store.read(lambda tx: tx.sessions.of_account(account.id)) == []
        assert old.session_id
        with pytest.raises(SignInRefusedError):
            await house.sign_in.with_password(ADA, PASSWORD, HOME)

    async def test_no_link_of_earlier_sets_the_password_once_its_owner_has_set_one(self, house):
        """An administrator sees the invitation; with it, it must not become the person who used another link."""
        account, shown = await self.invited(house)
        mailed = await house.store.write(lambda tx: house.links.reset(tx, house.act(), account))
        await house.links.accept(mailed, PASSWORD, HOME)
        with pytest.raises(LinkVoidError):
            await house.links.accept(shown, "another horse entirely", ELSEWHERE)
        await signed_in(house)
