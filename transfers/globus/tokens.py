"""Tokens of Globus Auth: of people, renewed and ended; the portal's own."""

from typing import Any

from transfers.errors import ConsentNeededError, GlobusRefusedError
from transfers.globus.clients import auth_client, own_authorizer, translated_errors


def refresh_tokens(refresh_token: str) -> dict[str, Any]:
    """New tokens for a refresh token, as Auth answers. Raises ConsentNeededError when Auth does not know it any more."""
    try:
        with translated_errors():
            return dict(auth_client().oauth2_refresh_token(refresh_token).data)
    except GlobusRefusedError as error:
        raise ConsentNeededError("Globus ended the permission that you gave.") from error


def revoke_token(token: str) -> None:
    """End a token at Globus. An unknown token is success."""
    with translated_errors():
        auth_client().oauth2_revoke_token(token)


def own_token(scope: str) -> str:
    """The portal's own token for a scope, such as that of the graph service."""
    with translated_errors(is_own=True):
        return str(own_authorizer(scope).get_authorization_header()).removeprefix("Bearer ")
