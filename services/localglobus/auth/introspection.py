"""What a client may learn about a token that it was given (RFC 7662, with Globus' additions)."""

from typing import Any

from services.localglobus.auth import authentications, grants, identities, tokens
from services.localglobus.store import Connection, Row


def describe(connection: Connection, value: str, client: Row, *, include: set[str], issuer: str) -> dict[str, Any]:
    """The token's facts for one of its audience; `{"active": false}` for anybody else and for a token that is not live.

    The audience is the resource server, by name and by client id, and the client that the token was issued to.
    """
    row = tokens.find(connection, value)
    if row is None:
        return {"active": False}
    server = connection.execute("select * from resource_server where name = ?", (row["resource_server"],)).fetchone()
    audience = list(dict.fromkeys([row["resource_server"], server["client_id"], row["client_id"]]))
    if client["id"] not in audience:
        return {"active": False}
    linked = identities.linked(connection, row["identity_id"])
    person = next(one for one in linked if one["id"] == row["identity_id"])
    answer: dict[str, Any] = {
        "active": True,
        "token_type": "Refresh" if row["is_refresh"] else "Bearer",
        "scope": row["scopes"],
        "client_id": row["client_id"],
        "sub": row["identity_id"],
        "username": person["username"],
        "name": person["name"],
        "email": person["email"],
        "aud": audience,
        "iss": issuer,
        "iat": row["issued_at"],
        "nbf": row["issued_at"],
        "exp": row["expires_at"],
    }
    if "identity_set" in include:
        answer["identity_set"] = [one["id"] for one in linked]
    if "identity_set_detail" in include:
        answer["identity_set_detail"] = [grants.describe_linked(one) for one in linked]
    if "session_info" in include:
        answer["session_info"] = authentications.of_token(connection, row["session"])
    return answer
