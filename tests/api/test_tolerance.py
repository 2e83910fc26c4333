"""Every way in which real dashboards write a URL reaches its call."""

from __future__ import annotations

import pytest

from tests.api.conftest import Backend


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/GetSrc?session={}",
        "//api/v1/GetSrc?session={}",
        "///api//v1///GetSrc?session={}",
        "/api/v1//GetSrc?session={}",
        "/api/v1/GetSrc/?session={}",
        "/api/v1/GetSrc&session={}",
        "/api/v1/GetSrc&type=H5_FILE&session={}",
        "/api/v1/GetSrc?&session={}",
        "/api/v1/GetSrc?&%20session={}",
        "/api/v1/GetSrc?+session={}",
        "/api/v1/GetSrc?%20session%20={}",
        "/api/v1/getsrc?SESSION={}",
        "/API/V1/GETSRC?Session={}",
        "/api/v1/GetSrc?session=old&session={}",
        "/api/v1/GetSrc?session={}&session=",
        "/api/v1/GetSrc?session={}&_=1571068800&callback",
        "/api/v1/Get%53rc?session={}",
    ],
)
async def test_spelling_reaches_getsrc(backend: Backend, path: str) -> None:
    response = await backend.get(path.format(await backend.login("vera")))

    assert response.status == 200
    assert "clip" in [one["strToken"] for one in (await response.json())["src"]]
