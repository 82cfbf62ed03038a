"""The transaction as a scope shows it."""

from typing import NoReturn

from service.auth.caller import Scope
from service.auth.scope.accounts import ScopedAccounts, ScopedCredentials, ScopedSessions, ScopedTokens
from service.auth.scope.announcements import ScopedAnnouncements
from service.auth.scope.customers import ScopedCustomers, ScopedErasures
from service.auth.scope.deliveries import ScopedDeliveries, ScopedEscalations
from service.auth.scope.duties import ScopedDuties
from service.auth.scope.incidents import ScopedBoard, ScopedIncidents
from service.auth.scope.log import ScopedAudit, ScopedLog
from service.auth.scope.notices import ScopedNotices
from service.auth.scope.operations import ScopedAlerts, ScopedDrafts, ScopedFigures, ScopedMails, ScopedResponses
from service.auth.scope.questions import ScopedQuestions
from service.auth.scope.reports import ScopedReports
from service.auth.scope.resources import ScopedResources
from service.auth.scope.search import ScopedSearch
from service.auth.scope.visibility import OutOfScopeError
from service.auth.scope.webhooks import ScopedWebhooks
from service.ports.store import AccessTransaction


def within(tx: AccessTransaction, scope: Scope) -> AccessTransaction:
    """Return the transaction as a scope shows it: as it is for an unlimited one, else limited."""
    if scope.is_unlimited:
        return tx
    limited: AccessTransaction = ScopedTransaction(tx, scope)
    return limited


class ScopedTransaction:
    """What is within one scope. A repository of ``AccessTransaction`` that is missing here raises OutOfScopeError."""

    def __init__(self, tx: AccessTransaction, scope: Scope) -> None:
        self.audit = ScopedAudit(tx, scope)
        self.log = ScopedLog(tx, scope)
        self.responses = ScopedResponses(tx, scope)
        self.incidents = ScopedIncidents(tx, scope)
        self.announcements = ScopedAnnouncements(tx, scope)
        self.customers = ScopedCustomers(tx, scope)
        self.erasures = ScopedErasures(tx, scope)
        self.notices = ScopedNotices(tx, scope)
        self.questions = ScopedQuestions(tx, scope)
        self.duties = ScopedDuties(tx, scope)
        self.deliveries = ScopedDeliveries(tx, scope)
        self.escalations = ScopedEscalations(tx, scope)
        self.webhooks = ScopedWebhooks(tx, scope)
        self.accounts = ScopedAccounts(tx, scope)
        self.credentials = ScopedCredentials(tx, scope)
        self.sessions = ScopedSessions(tx, scope)
        self.tokens = ScopedTokens(tx, scope)
        self.mails = ScopedMails(tx, scope)
        self.resources = ScopedResources(tx, scope)
        self.drafts = ScopedDrafts(tx, scope)
        self.alerts = ScopedAlerts(tx, scope)
        self.figures = ScopedFigures(tx, scope)
        self.board = ScopedBoard(tx, scope)
        self.search = ScopedSearch(tx, scope)
        self.reports = ScopedReports(tx, scope)

    def __getattr__(self, name: str) -> NoReturn:
        raise OutOfScopeError(name)
