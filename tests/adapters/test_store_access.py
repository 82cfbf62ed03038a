"""The contract of ``AccessTransaction`` on SQLite: accounts, grants, credentials, sessions, links, messages."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest

from notifications.errors import InvalidInputError, NotFoundError, StateConflictError, VersionMismatchError
from notifications.ports import Page
from service.ports.accounts import AccountKind, Role
from service.ports.store import AccessTransaction
from service.store import open_store
from service.store.engines.transaction import SqlTransaction
from support.access_records import (
    make_account,
    make_alert,
    make_code,
    make_grant,
    make_identity,
    make_link,
    make_mail,
    make_passkey,
    make_password,
    make_pending,
    make_session,
    make_throttle,
    make_token,
    make_totp,
    some_digest,
)
from support.postgresql_server import postgresql_server
from support.records import NOBODY, NOW, SALT, after, make_contact, make_customer
from support.repositories import repositories, verify_signatures
from support.sqlite_file import new_database


@pytest.fixture
def path(tmp_path):
    return new_database(tmp_path / "store.sqlite3")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request):
    """Where the store is."""
    if request.param == "sqlite":
        yield request.getfixturevalue("path")
        return
    with postgresql_server().lent_database() as address:
        yield address


@pytest.fixture
async def store(place):
    opened = open_store(place, migrate=False)
    yield opened
    await opened.close()


@pytest.fixture
async def account(store):
    made = make_account()
    await store.write(lambda tx: tx.accounts.add(made))
    return made


@pytest.fixture
async def customer(store):
    made = make_customer()
    await store.write(lambda tx: tx.customers.add(made, SALT))
    return made


async def refused(store, work):
    """Check that a work is a conflict."""
    with pytest.raises(StateConflictError):
        await store.write(work)


async def winners(path, work):
    """Return how many of eight works came first, handed in by two stores on one file."""
    stores = [open_store(path, migrate=False) for _ in range(2)]
    try:
        results = await asyncio.gather(*(store.write(work) for store in stores for _ in range(4)))
    finally:
        for store in stores:
            await store.close()
    assert set(results) <= {True, False}
    return sum(results)


def test_every_method_of_the_port_is_there_with_its_parameters():
    assert len(repositories(AccessTransaction)) == 26
    verify_signatures(AccessTransaction, SqlTransaction(None))


class TestAccounts:
    async def test_come_back_equal_by_id_and_by_address(self, store, account):
        service = make_account(kind=AccountKind.SERVICE, email=None, active=False, version=4)
        await store.write(lambda tx: tx.accounts.add(service))
        assert await store.read(lambda tx: [tx.accounts.get(item.id) for item in (account, service)]) == [
            account,
            service,
        ]
        assert await store.read(lambda tx: tx.accounts.by_email(account.email)) == account
        assert await store.read(lambda tx: (tx.accounts.get(NOBODY), tx.accounts.by_email("x@example.org"))) == (
            None,
            None,
        )

    async def test_the_same_identity_or_address_twice_is_a_conflict(self, store, account):
        await refused(store, lambda tx: tx.accounts.add(make_account(id=account.id)))
        await refused(store, lambda tx: tx.accounts.add(make_account(email=account.email)))

    async def test_many_accounts_have_no_address(self, store):
        made = [make_account(kind=AccountKind.SERVICE, email=None) for _ in range(2)]
        await store.write(lambda tx: [tx.accounts.add(item) for item in made])
        assert await store.read(lambda tx: tx.accounts.page(Page(9))) == (made, None)

    async def test_saving_follows_versions(self, store, account):
        changed = replace(account, name="Ève", email="eve@example.org", language="it", active=False, version=2)
        await store.write(lambda tx: tx.accounts.save(changed, 1))
        assert await store.read(lambda tx: tx.accounts.get(account.id)) == changed
        assert await store.read(lambda tx: tx.accounts.by_email(account.email)) is None
        with pytest.raises(VersionMismatchError) as raised:
            await store.write(lambda tx: tx.accounts.save(changed, 1))
        assert (raised.value.expected, raised.value.current) == (1, 2)
        with pytest.raises(NotFoundError):
            await store.write(lambda tx: tx.accounts.save(make_account(version=2), 1))
        with pytest.raises(ValueError, match="does not follow"):
            await store.write(lambda tx: tx.accounts.save(replace(changed, version=9), 2))

    async def test_saving_an_address_that_another_account_has_is_a_conflict(self, store, account):
        other = make_account()
        await store.write(lambda tx: tx.accounts.add(other))
        await refused(store, lambda tx: tx.accounts.save(replace(other, email=account.email, version=2), 1))
        assert await store.read(lambda tx: tx.accounts.get(other.id)) == other

    async def test_pages_are_oldest_first(self, store):
        made = [make_account() for _ in range(5)]
        await store.write(lambda tx: [tx.accounts.add(item) for item in made])
        first, cursor = await store.read(lambda tx: tx.accounts.page(Page(3)))
        rest, end = await store.read(lambda tx: tx.accounts.page(Page(3, cursor)))
        assert (first + rest, end) == (made, None)
        with pytest.raises(InvalidInputError):
            await store.read(lambda tx: tx.accounts.page(Page(3, "x")))


class TestGrants:
    async def test_come_back_equal_by_account_and_by_customer(self, store, account, customer):
        other = make_account()
        made = [
            make_grant(account, Role.AUDITOR),
            make_grant(account, Role.AUDITOR, customer, starts_at=None, ends_at=None, from_claims=False),
            make_grant(other, Role.CUSTOMER_MEMBER, customer),
        ]
        await store.write(lambda tx: (tx.accounts.add(other), [tx.accounts.add_grant(item) for item in made]))
        assert await store.read(lambda tx: tx.accounts.grants(account.id)) == made[:2]
        assert await store.read(lambda tx: tx.accounts.grants_at(customer.id)) == made[1:]
        assert await store.read(lambda tx: (tx.accounts.grants(NOBODY), tx.accounts.grants_at(NOBODY))) == ([], [])

    @pytest.mark.parametrize("at_a_customer", [True, False])
    async def test_the_same_role_at_the_same_place_twice_is_a_conflict(self, store, account, customer, at_a_customer):
        """Where no customer is named too: a plain unique index would take two of these for different ones."""
        place = customer if at_a_customer else None
        await store.write(lambda tx: tx.accounts.add_grant(make_grant(account, Role.AUDITOR, place)))
        await refused(store, lambda tx: tx.accounts.add_grant(make_grant(account, Role.AUDITOR, place, starts_at=None)))
        await store.write(lambda tx: tx.accounts.add_grant(make_grant(account, Role.APPROVER, place)))

    async def test_refers_to_an_account_and_a_customer_that_exist(self, store, account):
        await refused(store, lambda tx: tx.accounts.add_grant(make_grant(make_account())))
        await refused(store, lambda tx: tx.accounts.add_grant(make_grant(account, Role.AUDITOR, make_customer())))

    async def test_one_taken_away_is_gone_alone_and_can_be_given_again(self, store, account, customer):
        kept, gone = make_grant(account), make_grant(account, Role.AUDITOR, customer)
        await store.write(lambda tx: (tx.accounts.add_grant(kept), tx.accounts.add_grant(gone)))
        for _ in range(2):
            await store.write(lambda tx: tx.accounts.remove_grant(gone.id))
            assert await store.read(lambda tx: tx.accounts.grants(account.id)) == [kept]
        again = make_grant(account, Role.AUDITOR, customer)
        await store.write(lambda tx: tx.accounts.add_grant(again))
        assert await store.read(lambda tx: tx.accounts.grants(account.id)) == [kept, again]

    async def test_holders_are_the_active_accounts_of_a_role_each_once(self, store, account, customer):
        inactive, other = make_account(active=False), make_account()

        def work(tx):
            tx.accounts.add(inactive)
            tx.accounts.add(other)
            for grant in (
                make_grant(other, Role.AUDITOR),
                make_grant(account, Role.AUDITOR),
                make_grant(account, Role.AUDITOR, customer),
                make_grant(account, Role.APPROVER),
                make_grant(inactive, Role.AUDITOR),
            ):
                tx.accounts.add_grant(grant)

        await store.write(work)
        assert await store.read(lambda tx: tx.accounts.holders(Role.AUDITOR)) == [other, account]
        assert await store.read(lambda tx: tx.accounts.holders(Role.APPROVER)) == [account]
        assert await store.read(lambda tx: tx.accounts.holders(Role.ADMINISTRATOR)) == []


class TestCredentials:
    async def test_a_password_is_one_and_is_replaced(self, store, account):
        for password in (make_password(account), make_password(account, hash="other", changed_at=after(days=1))):
            await store.write(lambda tx, password=password: tx.credentials.set_password(password))
            assert await store.read(lambda tx: tx.credentials.password(account.id)) == password
        assert await store.read(lambda tx: tx.credentials.password(NOBODY)) is None

    async def test_a_generator_is_one_and_is_replaced_and_forgotten(self, store, account):
        for totp in (make_totp(account, confirmed_at=None), make_totp(account, sealed_seed=b"x", last_step=2**40)):
            await store.write(lambda tx, totp=totp: tx.credentials.set_totp(totp))
            assert await store.read(lambda tx: tx.credentials.totp(account.id)) == totp
        await store.write(lambda tx: tx.credentials.remove_totp(account.id))
        await store.write(lambda tx: tx.credentials.remove_totp(account.id))
        assert await store.read(lambda tx: tx.credentials.totp(account.id)) is None

    async def test_passkeys_come_back_equal_and_a_known_one_is_a_conflict(self, store, account):
        other = make_account()
        made = [make_passkey(account), make_passkey(account, last_used_at=None), make_passkey(other)]
        await store.write(lambda tx: (tx.accounts.add(other), [tx.credentials.add_passkey(item) for item in made]))
        assert await store.read(lambda tx: tx.credentials.passkeys(account.id)) == made[:2]
        assert await store.read(lambda tx: tx.credentials.passkey(made[2].credential_id)) == made[2]
        assert await store.read(lambda tx: tx.credentials.passkey(b"?")) is None
        await refused(
            store, lambda tx: tx.credentials.add_passkey(make_passkey(other, credential_id=made[0].credential_id))
        )
        await refused(store, lambda tx: tx.credentials.add_passkey(make_passkey(account, id=made[0].id)))

    async def test_saving_a_passkey_keeps_its_credential_and_account(self, store, account):
        made, bystander = make_passkey(account), make_passkey(account)
        await store.write(lambda tx: (tx.credentials.add_passkey(made), tx.credentials.add_passkey(bystander)))
        used = replace(made, sign_count=8, name="Neu", last_used_at=after(days=2, microseconds=1))
        await store.write(
            lambda tx: tx.credentials.save_passkey(replace(used, public_key=b"swapped", credential_id=b"swapped"))
        )
        assert await store.read(lambda tx: tx.credentials.passkeys(account.id)) == [used, bystander]
        await store.write(lambda tx: tx.credentials.remove_passkey(made.id))
        assert await store.read(lambda tx: tx.credentials.passkeys(account.id)) == [bystander]

    async def test_recovery_codes_are_replaced_as_a_whole(self, store, account):
        other = make_account()
        theirs = [make_code(other)]
        await store.write(lambda tx: (tx.accounts.add(other), tx.credentials.replace_recovery_codes(other.id, theirs)))
        for codes in ([make_code(account) for _ in range(3)], [make_code(account, used_at=after(days=1))], []):
            await store.write(lambda tx, codes=codes: tx.credentials.replace_recovery_codes(account.id, codes))
            assert await store.read(lambda tx: tx.credentials.recovery_codes(account.id)) == codes
        assert await store.read(lambda tx: tx.credentials.recovery_codes(other.id)) == theirs

    async def test_a_recovery_code_is_used_once_and_by_its_account_alone(self, store, account):
        other, codes = make_account(), [make_code(account) for _ in range(2)]
        await store.write(lambda tx: (tx.accounts.add(other), tx.credentials.replace_recovery_codes(account.id, codes)))
        used_at = after(minutes=1, microseconds=1)
        tries = [(other.id, codes[0].digest), (account.id, codes[0].digest), (account.id, codes[0].digest)]
        tries.append((account.id, some_digest()))
        taken = [
            await store.write(lambda tx, one=one: tx.credentials.use_recovery_code(*one, used_at)) for one in tries
        ]
        assert taken == [False, True, False, False]
        assert await store.read(lambda tx: tx.credentials.recovery_codes(account.id)) == [
            replace(codes[0], used_at=used_at),
            codes[1],
        ]

    async def test_one_recovery_code_lets_one_of_many_in(self, store, account, place):
        code = make_code(account)
        await store.write(lambda tx: tx.credentials.replace_recovery_codes(account.id, [code]))
        assert await winners(place, lambda tx: tx.credentials.use_recovery_code(account.id, code.digest, NOW)) == 1

    async def test_an_identity_of_a_provider_is_known_once(self, store, account):
        made = make_identity(account)
        same_subject = replace(made, issuer="https://other.example")
        await store.write(
            lambda tx: (tx.accounts.add_external_identity(made), tx.accounts.add_external_identity(same_subject))
        )
        assert await store.read(lambda tx: tx.accounts.external_identity(made.issuer, made.subject)) == made
        assert (
            await store.read(lambda tx: tx.accounts.external_identity(same_subject.issuer, made.subject))
            == same_subject
        )
        assert await store.read(lambda tx: tx.accounts.external_identity(made.issuer, "?")) is None
        assert await store.read(lambda tx: tx.accounts.external_identities(account.id)) == [made, same_subject]
        await refused(store, lambda tx: tx.accounts.add_external_identity(made))

    @pytest.mark.parametrize(
        "add",
        [
            lambda tx, stranger: tx.credentials.set_password(make_password(stranger)),
            lambda tx, stranger: tx.credentials.set_totp(make_totp(stranger)),
            lambda tx, stranger: tx.credentials.add_passkey(make_passkey(stranger)),
            lambda tx, stranger: tx.credentials.replace_recovery_codes(stranger.id, [make_code(stranger)]),
            lambda tx, stranger: tx.accounts.add_external_identity(make_identity(stranger)),
            lambda tx, stranger: tx.sessions.add(make_session(stranger)),
            lambda tx, stranger: tx.tokens.add(make_token(stranger)),
            lambda tx, stranger: tx.sessions.add_pending(make_pending(stranger)),
        ],
    )
    async def test_nothing_belongs_to_an_account_that_is_not_there(self, store, add):
        await refused(store, lambda tx: add(tx, make_account()))


class TestSessions:
    async def test_come_back_equal_expired_or_not(self, store, account):
        made = [make_session(account), make_session(account, expires_at=after(days=-1))]
        await store.write(lambda tx: [tx.sessions.add(item) for item in made])
        assert await store.read(lambda tx: [tx.sessions.get(item.digest) for item in made]) == made
        assert await store.read(lambda tx: tx.sessions.of_account(account.id)) == made
        assert await store.read(lambda tx: (tx.sessions.get(b"?"), tx.sessions.of_account(NOBODY))) == (None, [])
        await refused(store, lambda tx: tx.sessions.add(make_session(account, id=made[0].id)))
        await refused(store, lambda tx: tx.sessions.add(make_session(account, digest=made[0].digest)))

    async def test_a_use_is_recorded_and_one_that_ended_stays_so(self, store, account):
        made, other = make_session(account), make_session(account)
        await store.write(lambda tx: (tx.sessions.add(made), tx.sessions.add(other)))
        await store.write(lambda tx: tx.sessions.touch(made.id, after(minutes=7, microseconds=1)))
        seen = replace(made, last_seen_at=after(minutes=7, microseconds=1))
        assert await store.read(lambda tx: tx.sessions.of_account(account.id)) == [seen, other]
        for _ in range(2):
            await store.write(lambda tx: tx.sessions.end(made.id))
        await store.write(lambda tx: tx.sessions.touch(made.id, NOW))
        assert await store.read(lambda tx: tx.sessions.of_account(account.id)) == [other]

    @pytest.mark.parametrize(("keep", "ended"), [(True, 2), (False, 3)])
    async def test_all_of_an_account_are_ended_but_the_named_one(self, store, account, keep, ended):
        stranger = make_account()
        made, theirs = [make_session(account) for _ in range(3)], make_session(stranger)
        await store.write(
            lambda tx: (tx.accounts.add(stranger), [tx.sessions.add(item) for item in [*made, theirs]]),
        )
        assert await store.write(lambda tx: tx.sessions.end_all(account.id, but=made[1].id if keep else None)) == ended
        assert await store.read(lambda tx: tx.sessions.of_account(account.id)) == ([made[1]] if keep else [])
        assert await store.read(lambda tx: tx.sessions.of_account(stranger.id)) == [theirs]


class TestTokens:
    async def test_come_back_equal_whatever_their_state(self, store, account):
        made = [
            make_token(account),
            make_token(account, permissions=(), last_used_at=None, revoked_at=after(microseconds=5)),
        ]
        await store.write(lambda tx: [tx.tokens.add(item) for item in made])
        assert await store.read(lambda tx: [tx.tokens.get(item.digest) for item in made]) == made
        assert await store.read(lambda tx: tx.tokens.of_account(account.id)) == made
        assert await store.read(lambda tx: (tx.tokens.get(b"?"), tx.tokens.of_account(NOBODY))) == (None, [])
        await refused(store, lambda tx: tx.tokens.add(make_token(account, id=made[0].id)))
        await refused(store, lambda tx: tx.tokens.add(make_token(account, digest=made[0].digest)))

    async def test_uses_are_recorded_and_the_first_revocation_stays(self, store, account):
        made, other = make_token(account), make_token(account)
        await store.write(lambda tx: (tx.tokens.add(made), tx.tokens.add(other)))
        await store.write(lambda tx: tx.tokens.touch(made.id, after(minutes=1)))
        await store.write(lambda tx: tx.tokens.revoke(made.id, after(minutes=2)))
        await store.write(lambda tx: tx.tokens.revoke(made.id, after(minutes=3)))
        expected = replace(made, last_used_at=after(minutes=1), revoked_at=after(minutes=2))
        assert await store.read(lambda tx: tx.tokens.of_account(account.id)) == [expected, other]


class TestLinks:
    async def test_come_back_equal_used_or_not(self, store):
        made = [make_link(), make_link(used_at=after(microseconds=9))]
        await store.write(lambda tx: [tx.sessions.add_link(item) for item in made])
        assert await store.read(lambda tx: [tx.sessions.link(item.digest) for item in made]) == made
        assert await store.read(lambda tx: tx.sessions.link(b"?")) is None
        await refused(store, lambda tx: tx.sessions.add_link(make_link(id=made[0].id)))
        await refused(store, lambda tx: tx.sessions.add_link(make_link(digest=made[0].digest)))

    async def test_one_is_used_once(self, store):
        made, other = make_link(), make_link()
        await store.write(lambda tx: (tx.sessions.add_link(made), tx.sessions.add_link(other)))
        used_at = after(hours=1, microseconds=1)
        assert await store.write(lambda tx: tx.sessions.use_link(made.id, used_at)) is True
        assert await store.write(lambda tx: tx.sessions.use_link(made.id, after(hours=2))) is False
        assert await store.write(lambda tx: tx.sessions.use_link(NOBODY, used_at)) is False
        assert await store.read(lambda tx: tx.sessions.link(made.digest)) == replace(made, used_at=used_at)
        assert await store.read(lambda tx: tx.sessions.link(other.digest)) == other

    async def test_one_link_lets_one_of_many_in(self, store, place):
        made = make_link()
        await store.write(lambda tx: tx.sessions.add_link(made))
        assert await winners(place, lambda tx: tx.sessions.use_link(made.id, NOW)) == 1

    async def test_a_use_that_is_undone_leaves_the_link_unused(self, store):
        made = make_link()
        await store.write(lambda tx: tx.sessions.add_link(made))

        def work(tx):
            assert tx.sessions.use_link(made.id, NOW)
            raise RuntimeError

        with pytest.raises(RuntimeError):
            await store.write(work)
        assert await store.write(lambda tx: tx.sessions.use_link(made.id, NOW)) is True

    async def test_dropping_forgets_the_unused_ones_of_one_purpose_and_subject(self, store):
        subject = uuid4()
        gone = [make_link(subject_id=subject) for _ in range(2)]
        kept = [make_link(subject_id=subject, purpose="reset"), make_link(), make_link(subject_id=subject, used_at=NOW)]
        await store.write(lambda tx: [tx.sessions.add_link(item) for item in gone + kept])
        await store.write(lambda tx: tx.sessions.drop_links("invitation", subject))
        found = await store.read(lambda tx: [tx.sessions.link(item.digest) for item in gone + kept])
        assert found == [None, None, *kept]


class TestSigningIn:
    async def test_one_half_way_comes_back_equal_and_is_ended_once(self, store, account):
        made = [make_pending(account), make_pending(purpose="oidc", expires_at=after(days=-1))]
        await store.write(lambda tx: [tx.sessions.add_pending(item) for item in made])
        assert await store.read(lambda tx: [tx.sessions.pending(item.digest) for item in made]) == made
        await refused(store, lambda tx: tx.sessions.add_pending(make_pending(digest=made[0].digest)))
        await refused(store, lambda tx: tx.sessions.add_pending(make_pending(id=made[0].id)))
        removed = [await store.write(lambda tx: tx.sessions.remove_pending(made[0].id)) for _ in range(2)]
        assert removed == [True, False]
        assert await store.read(lambda tx: [tx.sessions.pending(item.digest) for item in made]) == [None, made[1]]

    async def test_one_of_many_goes_on_with_it(self, store, place):
        made = make_pending()
        await store.write(lambda tx: tx.sessions.add_pending(made))
        assert await winners(place, lambda tx: tx.sessions.remove_pending(made.id)) == 1

    async def test_a_throttle_is_replaced_and_cleared(self, store):
        made, other = make_throttle(), make_throttle()
        more = replace(made, failures=4, last_failed_at=after(minutes=1), retry_at=after(minutes=3, microseconds=1))
        await store.write(lambda tx: (tx.sessions.save_throttle(made), tx.sessions.save_throttle(other)))
        assert await store.read(lambda tx: tx.sessions.throttle(made.key)) == made
        await store.write(lambda tx: tx.sessions.save_throttle(more))
        assert await store.read(lambda tx: tx.sessions.throttle(made.key)) == more
        await store.write(lambda tx: tx.sessions.clear_throttle(made.key))
        await store.write(lambda tx: tx.sessions.clear_throttle(made.key))
        assert await store.read(lambda tx: (tx.sessions.throttle(made.key), tx.sessions.throttle(other.key))) == (
            None,
            other,
        )


class TestPurging:
    async def test_what_is_over_goes_and_nothing_else(self, store, account):
        """Each kind at its last moment, and one microsecond before it is over."""
        now, alive = after(days=5), after(days=5, microseconds=1)
        yesterday, later = after(days=4), after(days=4, microseconds=1)
        over = [make_session(account, expires_at=now), make_link(expires_at=now), make_pending(expires_at=now)]
        kept = [make_session(account, expires_at=alive), make_link(expires_at=alive), make_pending(expires_at=alive)]
        over_throttle, kept_throttle = make_throttle(retry_at=yesterday), make_throttle(retry_at=later)
        bystanders = make_token(account, expires_at=NOW), make_totp(account), make_code(account, used_at=NOW)
        mail = make_mail(state="sent")

        def fill(tx):
            for session, link, pending in (over, kept):
                tx.sessions.add(session)
                tx.sessions.add_link(link)
                tx.sessions.add_pending(pending)
            tx.sessions.save_throttle(over_throttle)
            tx.sessions.save_throttle(kept_throttle)
            tx.tokens.add(bystanders[0])
            tx.credentials.set_totp(bystanders[1])
            tx.credentials.replace_recovery_codes(account.id, [bystanders[2]])
            tx.mails.add(mail)

        def found(tx, items, throttle):
            session, link, pending = items
            found = tx.sessions.get(session.digest), tx.sessions.link(link.digest), tx.sessions.pending(pending.digest)
            return [*found, tx.sessions.throttle(throttle.key)]

        await store.write(fill)
        assert await store.write(lambda tx: tx.sessions.purge(now)) == 4
        assert await store.write(lambda tx: tx.sessions.purge(now)) == 0
        assert await store.read(lambda tx: found(tx, over, over_throttle)) == [None] * 4
        assert await store.read(lambda tx: found(tx, kept, kept_throttle)) == [*kept, kept_throttle]
        assert await store.read(
            lambda tx: (tx.tokens.of_account(account.id), tx.credentials.totp(account.id), tx.mails.get(mail.id))
        ) == (
            [bystanders[0]],
            bystanders[1],
            mail,
        )
        assert await store.read(lambda tx: tx.credentials.recovery_codes(account.id)) == [bystanders[2]]


class TestServiceMails:
    async def test_come_back_equal(self, store):
        made = [make_mail(), make_mail(next_attempt_at=None, last_error=None, attempts=0)]
        await store.write(lambda tx: [tx.mails.add(item) for item in made])
        assert await store.read(lambda tx: [tx.mails.get(item.id) for item in made]) == made
        assert await store.read(lambda tx: tx.mails.get(NOBODY)) is None
        await refused(store, lambda tx: tx.mails.add(made[0]))

    async def test_due_are_the_queued_whose_time_has_come_oldest_first(self, store):
        at_once, later = make_mail(next_attempt_at=None), make_mail(next_attempt_at=after(microseconds=1))
        now, sent = make_mail(next_attempt_at=NOW), make_mail(state="sent", next_attempt_at=None)
        made = [now, later, sent, at_once, make_mail(state="dropped"), make_mail(state="failed")]
        await store.write(lambda tx: [tx.mails.add(item) for item in made])
        assert await store.read(lambda tx: tx.mails.due(NOW, 9)) == [now, at_once]
        assert await store.read(lambda tx: tx.mails.due(NOW, 1)) == [now]
        assert await store.read(lambda tx: tx.mails.due(after(microseconds=1), 9)) == [now, later, at_once]

    async def test_troubled_are_those_that_failed_for_good_or_the_last_time(self, store):
        fresh, deferred = make_mail(last_error=None), make_mail()
        refused_, sent = make_mail(state="failed", last_error="550 no"), make_mail(state="sent")
        unexplained = make_mail(state="failed", last_error=None)
        made = [fresh, refused_, sent, deferred, make_mail(state="dropped"), unexplained]
        await store.write(lambda tx: [tx.mails.add(item) for item in made])
        assert await store.read(lambda tx: tx.mails.troubled(9)) == [refused_, deferred, unexplained]
        assert await store.read(lambda tx: tx.mails.troubled(1)) == [refused_]

    async def test_saving_changes_what_became_of_it_and_never_whom_it_is_for(self, store):
        made, other = make_mail(), make_mail()
        await store.write(lambda tx: (tx.mails.add(made), tx.mails.add(other)))
        became = replace(made, text="", state="failed", attempts=3, next_attempt_at=None, last_error="550 no")
        rewritten = replace(became, subject="other", recipient="other@example.org", purpose="alert")
        await store.write(lambda tx: tx.mails.save(rewritten))
        assert await store.read(lambda tx: [tx.mails.get(item.id) for item in (made, other)]) == [became, other]

    async def test_those_of_one_mailing_are_found_together(self, store):
        mailing_id = uuid4()
        made = [make_mail(mailing_id=mailing_id), make_mail(mailing_id=uuid4()), make_mail(mailing_id=mailing_id)]
        await store.write(lambda tx: [tx.mails.add(item) for item in [*made, make_mail(mailing_id=None)]])
        assert await store.read(lambda tx: tx.mails.of_mailing(mailing_id)) == [made[0], made[2]]
        assert await store.read(lambda tx: tx.mails.of_mailing(NOBODY)) == []


class TestAlerts:
    async def test_one_is_raised_once_per_key(self, store):
        made = make_alert()
        bare = make_alert(incident_id=None, notice_id=None, customer_id=None, what="")
        again = make_alert(key=made.key, what="again")
        raised = [await store.write(lambda tx, item=item: tx.alerts.add(item)) for item in (made, bare, again)]
        assert raised == [True, True, False]
        found = await store.read(lambda tx: [tx.alerts.get(item.id) for item in (made, bare, again)])
        assert found == [made, bare, None]
        assert await store.read(lambda tx: tx.alerts.get(NOBODY)) is None
        assert await store.read(lambda tx: [tx.alerts.by_key(key) for key in (made.key, "?")]) == [made, None]
        await refused(store, lambda tx: tx.alerts.add(make_alert(id=made.id)))

    async def test_one_of_many_raises_it(self, store, place):
        assert await winners(place, lambda tx: tx.alerts.add(make_alert(key="draft_near_deadline:x:1"))) == 1
        assert len(await store.read(lambda tx: tx.alerts.unseen(9))) == 1

    async def test_open_are_those_that_nobody_has_seen_oldest_first(self, store):
        made = [make_alert() for _ in range(3)]
        await store.write(lambda tx: [tx.alerts.add(item) for item in made])
        await store.write(lambda tx: tx.alerts.mark_seen(made[1].id, after(minutes=1, microseconds=1), "account:a"))
        await store.write(lambda tx: tx.alerts.mark_seen(made[1].id, after(minutes=2), "account:b"))
        assert await store.read(lambda tx: tx.alerts.unseen(9)) == [made[0], made[2]]
        assert await store.read(lambda tx: tx.alerts.unseen(1)) == [made[0]]
        seen = replace(made[1], seen_at=after(minutes=1, microseconds=1), seen_by="account:a")
        assert await store.read(lambda tx: tx.alerts.get(made[1].id)) == seen
        assert await store.write(lambda tx: tx.alerts.add(make_alert(key=made[1].key))) is False

    async def test_pages_are_newest_first_of_the_wanted_kinds_with_and_without_those_seen(self, store):
        kinds = ["disk_low", "log_lagging", "disk_low", "queue_old", "disk_low"]
        made = [make_alert(kind=kind, seen_at=None, seen_by=None, mailing_id=uuid4()) for kind in kinds]
        await store.write(lambda tx: [tx.alerts.add(item) for item in made])
        await store.write(lambda tx: tx.alerts.mark_seen(made[4].id, NOW, "account:a"))
        seen = replace(made[4], seen_at=NOW, seen_by="account:a")

        async def pages(wanted, limit, *, unseen):
            found, cursor = [], None
            while True:
                page = Page(limit, cursor)
                more, cursor = await store.read(lambda tx, page=page: tx.alerts.page(page, wanted, unseen=unseen))
                found += more
                if cursor is None:
                    return found

        newest_first = [seen, *reversed(made[:4])]
        for limit in (1, 2, 9):
            assert await pages(None, limit, unseen=False) == newest_first
            assert await pages(None, limit, unseen=True) == newest_first[1:]
            assert await pages(("disk_low", "queue_old"), limit, unseen=False) == [seen, made[3], made[2], made[0]]
            assert await pages(("disk_low",), limit, unseen=True) == [made[2], made[0]]
        assert await pages((), 9, unseen=False) == []
        with pytest.raises(InvalidInputError):
            await store.read(lambda tx: tx.alerts.page(Page(1, "x"), None, unseen=False))


class TestReach:
    async def test_customers_without_an_active_contact_are_listed_oldest_first(self, store):
        reached, bare, left, only_fallback = (make_customer() for _ in range(4))
        contacts = [
            make_contact(reached),
            make_contact(reached, active=False),
            make_contact(left, active=False),
            make_contact(only_fallback, fallback=True),
        ]
        await store.write(lambda tx: [tx.customers.add(item, SALT) for item in (reached, bare, left, only_fallback)])
        await store.write(lambda tx: [tx.customers.add_contact(item) for item in contacts])
        assert await store.read(lambda tx: tx.alerts.customers_without_contact(9)) == [bare.id, left.id]
        assert await store.read(lambda tx: tx.alerts.customers_without_contact(1)) == [bare.id]


class TestHooks:
    """Whoever keeps callers in memory drops them when ``access`` is told."""

    async def told(self, store, work):
        heard = []
        store.on_commit.append(heard.append)
        await store.write(work)
        store.on_commit.remove(heard.append)
        return set().union(*heard)

    async def test_what_decides_on_access_is_told_and_a_use_is_not(self, store, account):
        grant, session, token = make_grant(account), make_session(account), make_token(account)
        passkey, link = make_passkey(account), make_link(expires_at=NOW)
        code = make_code(account)
        for work in (
            lambda tx: tx.accounts.add(make_account()),
            lambda tx: tx.accounts.save(replace(account, active=False, version=2), 1),
            lambda tx: tx.accounts.add_grant(grant),
            lambda tx: tx.accounts.remove_grant(grant.id),
            lambda tx: tx.credentials.set_password(make_password(account)),
            lambda tx: tx.credentials.set_totp(make_totp(account)),
            lambda tx: tx.credentials.remove_totp(account.id),
            lambda tx: tx.credentials.add_passkey(passkey),
            lambda tx: tx.credentials.remove_passkey(passkey.id),
            lambda tx: tx.credentials.replace_recovery_codes(account.id, [code]),
            lambda tx: tx.credentials.use_recovery_code(account.id, code.digest, NOW),
            lambda tx: tx.sessions.add(session),
            lambda tx: tx.tokens.add(token),
            lambda tx: tx.tokens.revoke(token.id, NOW),
            lambda tx: tx.sessions.end(session.id),
            lambda tx: tx.sessions.end_all(account.id),
            lambda tx: tx.sessions.add_link(link),
            lambda tx: tx.sessions.use_link(link.id, NOW),
            lambda tx: tx.sessions.drop_links(link.purpose, link.subject_id),
            lambda tx: tx.sessions.purge(NOW),
        ):
            assert await self.told(store, work) == {"access"}
        for work in (
            lambda tx: tx.sessions.touch(session.id, NOW),
            lambda tx: tx.tokens.touch(token.id, NOW),
            lambda tx: tx.sessions.purge(NOW),
        ):
            assert await self.told(store, work) == set()

    async def test_mails_and_alerts_are_told(self, store):
        mail, alert = make_mail(), make_alert()
        for work in (
            lambda tx: tx.mails.add(mail),
            lambda tx: tx.mails.save(mail),
            lambda tx: tx.alerts.add(alert),
            lambda tx: tx.alerts.mark_seen(alert.id, NOW, "account:a"),
        ):
            assert await self.told(store, work) == {"messages"}
        assert await self.told(store, lambda tx: tx.alerts.add(make_alert(key=alert.key))) == set()
