"""The mail with the link that resets a lost password."""

from notifications.use_cases.audit_context import AuditContext
from service.ports.accounts import Account
from service.ports.mails import ServiceMail
from service.settings.provider import ProviderSettings
from service.web.console.catalogues import text


def reset_mail(act: AuditContext, account: Account, secret: str, provider: ProviderSettings) -> ServiceMail:
    """Return the mail, in the language of the account. Its link is the only place that contains the secret."""
    language = account.language
    link = f"{provider.origin}/reset/{secret}"
    return ServiceMail(
        id=act.identifiers.new_id(),
        purpose="reset",
        recipient=account.email or "",
        recipient_name=account.name,
        language=language,
        subject=text("reset_mail.subject", language, provider=provider.name),
        text=text("reset_mail.text", language, name=account.name, provider=provider.name, link=link),
        created_at=act.now,
    )
