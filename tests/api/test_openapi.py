"""The OpenAPI document, and where it is shown."""

from __future__ import annotations

import pytest

from h5sup.api.parameters import fields_of
from h5sup.api.table import CALLS
from h5sup.auth.guard import Access
from tests.api.conftest import Backend


async def test_document_has_every_call_as_it_is_declared(backend: Backend) -> None:
    response = await backend.get(f"/api/v1/openapi.json?session={backend.sign_in('vera')}")
    document = await response.json()

    assert response.headers["Content-Type"] == "application/json"
    assert document["openapi"] == "3.1.0"
    assert document["paths"].keys() == {f"/api/v1/{call.name}" for call in CALLS}
    for call in CALLS:
        item = document["paths"][f"/api/v1/{call.name}"]
        given = [(one["name"], one["required"]) for one in item["get"]["parameters"]]
        assert given == [(one.encode_name, one.required) for one in fields_of(call.parameters)]
        assert item["get"]["x-role"] == (call.role or "")
        assert bool(item["get"]["security"]) is (call.role is not None)
        assert ("post" in item) is (call.access is Access.ACT)


async def test_ranges_and_choices_are_in_the_document(backend: Backend) -> None:
    document = await backend.call(f"/api/v1/openapi.json?session={backend.sign_in('vera')}")

    def schema(call: str, name: str) -> dict[str, object]:
        parameters = document["paths"][f"/api/v1/{call}"]["get"]["parameters"]
        found: dict[str, object] = next(one["schema"] for one in parameters if one["name"] == name)
        return found

    assert schema("AddSrcRTSP", "speed") == {
        "type": "number",
        "minimum": 0.1,
        "maximum": 16,
        "default": 1.0,
    }
    assert "H5_FILE" in str(schema("GetSrc", "type")["enum"])
    assert schema("GetVidStreamStatus", "stream")["enum"] == ["main", "sub"]
    assert schema("GetSrcLog", "token") == {"type": "string", "maxLength": 128}


async def test_every_reference_leads_somewhere(backend: Backend) -> None:
    response = await backend.get(f"/api/v1/openapi.json?session={backend.sign_in('vera')}")
    schemas = (await response.json())["components"]["schemas"]

    named = (await response.text()).split('"#/components/schemas/')[1:]
    assert named
    assert {one.partition('"')[0] for one in named} == schemas.keys()


async def test_document_is_for_who_may_look(backend: Backend) -> None:
    assert (await backend.get("/api/v1/openapi.json")).status == 401


@pytest.mark.parametrize(
    ("path", "page"),
    [("/api/docs", "../api.html"), ("/api/docs/", "../../api.html"), ("/API/Docs", "../api.html")],
)
async def test_docs_lead_to_the_page_also_behind_a_proxy(
    backend: Backend, path: str, page: str
) -> None:
    response = await backend.get(path)

    assert (response.status, response.headers["Location"]) == (302, page)
