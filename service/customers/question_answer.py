"""Answer a customer's question, and mail the person who asked that there is an answer, and nothing of its words."""

import tomllib
from importlib.resources import files
from uuid import UUID

from notifications.delivery.question import Question
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.ask_question import answer_question
from service.ports.accounts import CUSTOMER_ROLES, Account
from service.ports.mails import ServiceMail
from service.ports.store import AccessTransaction
from service.settings.provider import ProviderSettings

_WORDS: dict[str, dict[str, str]] = tomllib.loads(
    (files(__package__) / "question_answer.toml").read_text(encoding="utf-8")
)


def answer(
    tx: AccessTransaction,
    act: AuditContext,
    question_id: UUID,
    *,
    text: str | None,
    notice_id: UUID | None,
    provider: ProviderSettings,
) -> Question:
    """Record the answer and queue the mail; raises what ``answer_question`` raises.

    No mail goes to an account that no longer acts for the customer, or where there are no pages to sign in to.
    """
    question = answer_question(tx, act, question_id, text=text, notice_id=notice_id)
    asker = _asker(tx, question)
    if asker is None or asker.email is None or provider.console_url is None:
        return question
    words = _WORDS[asker.language]
    link = f"{provider.console_url.rstrip('/')}/notices/{question.notice_id}"
    tx.mails.add(
        ServiceMail(
            id=act.identifiers.new_id(),
            purpose="question_answered",
            recipient=asker.email,
            recipient_name=asker.name,
            language=asker.language,
            subject=words["subject"].format(provider=provider.name),
            text=words["text"].format(provider=provider.name, link=link),
            created_at=act.now,
        )
    )
    return question


def _asker(tx: AccessTransaction, question: Question) -> Account | None:
    """Return the active account that asked, while it acts for the customer."""
    kind, _, identifier = question.asked_by.partition(":")
    account = tx.accounts.get(UUID(identifier)) if kind == "account" else None
    if account is None or not account.active:
        return None
    roles = [grant for grant in tx.accounts.grants(account.id) if grant.customer_id == question.customer_id]
    return account if any(grant.role in CUSTOMER_ROLES for grant in roles) else None
