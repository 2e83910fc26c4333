from __future__ import annotations

import pytest

from h5sup.auth.guard import Claim, Identity
from h5sup.auth.roles import suffices
from h5sup.auth.sessions import Session
from h5sup.config.model import Role


@pytest.mark.parametrize(
    ("role", "least", "expected"),
    [
        ("Administrator", "Administrator", True),
        ("Administrator", "Viewer", True),
        ("Operator", "Administrator", False),
        ("Operator", "Operator", True),
        ("Operator", "Viewer", True),
        ("Viewer", "Operator", False),
        ("Viewer", "Viewer", True),
    ],
)
def test_roles_stand_in_order(role: Role, least: Role, expected: bool) -> None:
    assert suffices(role, least, strict=True) is expected
    assert suffices(role, least, strict=False)


def test_no_repr_shows_a_secret() -> None:
    claim = Claim(
        session="one-secret",
        authorization="token two-secret",
        cookie="three-secret",
        referer="http://h/?session=four-secret",
    )
    identity = Identity("a", "Viewer", Session(b"five-secret", "a", 0.0))

    assert "secret" not in repr(claim) + repr(identity)


@pytest.mark.parametrize(
    ("claim", "explicit"),
    [
        (Claim(session="a", authorization="token b", cookie="c"), "a"),
        (Claim(authorization="token b", cookie="c"), "b"),
        (Claim(authorization="TOKEN   b "), "b"),
        (Claim(authorization="Bearer b"), "b"),
        (Claim(authorization="Basic b", cookie="c"), ""),
        (Claim(authorization="token"), ""),
        (Claim(cookie="c"), ""),
    ],
)
def test_session_is_taken_from_where_it_is_given(claim: Claim, explicit: str) -> None:
    assert claim.explicit == explicit
