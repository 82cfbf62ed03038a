"""Why a request of a caller is refused."""

from service.auth.permissions import Permission


class ForbiddenError(Exception):
    """The caller is known, but none of its roles has the permission."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission
        super().__init__(f"none of your roles carries the permission {permission.value}")


class UnauthenticatedError(Exception):
    """The request has neither a valid session nor a valid token."""
