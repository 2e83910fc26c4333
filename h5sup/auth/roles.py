"""The three roles and what stands above what."""

from __future__ import annotations

from h5sup.config.model import Role

RANK: dict[Role, int] = {"Viewer": 0, "Operator": 1, "Administrator": 2}


def suffices(role: Role, least: Role, *, strict: bool) -> bool:
    """Return whether `role` may do what takes at least `least`.

    Not strict is the manual's rule: whoever is signed in may do everything.
    """
    return not strict or RANK[role] >= RANK[least]
