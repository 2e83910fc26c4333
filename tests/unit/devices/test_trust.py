"""Which certificates are known, without a socket."""

from __future__ import annotations

from typing import Any

import pytest

from h5sup.base.errors import UnavailableError
from h5sup.devices.trust import AUTHORITIES, Trust


class FullDisk:
    """Keeps nothing."""

    async def certificates(self) -> list[dict[str, Any]]:
        return []

    async def save_certificate(self, raw: Any) -> None:
        raise UnavailableError(f"no room for {raw['key']}")

    async def delete_certificates(self, token: str) -> None:
        raise UnavailableError(f"no room to forget {token}")


async def test_what_cannot_be_kept_is_known_until_a_restart(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trust = Trust(FullDisk())
    await trust.start()
    await trust.keep("nvr", "here", AUTHORITIES)
    assert trust.find("nvr", "here") == AUTHORITIES
    assert "unknown after a restart: no room for nvr here" in caplog.text


async def test_each_place_of_a_device_is_known_by_itself_and_forgotten_with_it() -> None:
    trust = Trust()
    await trust.keep("door", "here", "ab" * 32)
    await trust.keep("door", "there", AUTHORITIES)
    await trust.keep("doors", "here", "cd" * 32)
    assert trust.find("door", "here") == "ab" * 32
    assert trust.find("", "there") == AUTHORITIES, "who has no token is known by where it is"
    await trust.forget("door")
    assert trust.find("door", "here") is trust.find("door", "there") is None
    assert trust.find("doors", "here") == "cd" * 32
