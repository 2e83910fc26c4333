"""Whatever the OpenAPI document allows or forbids: no call fails, and each answers as it says.

schemathesis makes the requests, valid ones and broken ones, and sends them over a real socket.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from h5sup.api.openapi import build
from h5sup.api.table import CALLS
from h5sup.auth.guard import Access
from tests.api.conftest import Backend

EXAMPLES = 10
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]
OPERATIONS = [(call.name, "get") for call in CALLS] + [
    (call.name, "post") for call in CALLS if call.access is Access.ACT
]


def fuzz(operation: Any, mode: GenerationMode, base_url: str, session: str) -> int:
    """Send requests for one operation and check the answers; returns how many were sent."""
    sent = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=True,  # what fails here fails again
        suppress_health_check=list(HealthCheck),
    )
    def check(case: schemathesis.Case[Any]) -> None:
        nonlocal sent
        response = case.call(base_url=base_url, headers={"Authorization": f"token {session}"})
        sent += 1
        case.validate_response(response, checks=CHECKS)

    check()
    return sent


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("name", "method"), OPERATIONS)
async def test_call_answers_as_its_description_says(
    backend: Backend, name: str, method: str, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_dict(build(CALLS))
    operation = schema[f"/api/v1/{name}"][method]
    if mode is GenerationMode.NEGATIVE and not operation.query and not operation.body:
        mode = GenerationMode.POSITIVE  # nothing of it can be broken
    base_url = str(backend.client.make_url("")).rstrip("/")

    sent = await asyncio.to_thread(fuzz, operation, mode, base_url, backend.sign_in())

    assert sent


async def test_a_failing_server_is_noticed(backend: Backend) -> None:
    """The test above is one that can fail."""
    backend.pictures.error = KeyError("a bug")
    schema = schemathesis.openapi.from_dict(build(CALLS))
    operation = schema["/api/v1/GetImage"]["get"]
    base_url = str(backend.client.make_url("")).rstrip("/")

    with pytest.raises(schemathesis.errors.FailureGroup, match="Server error"):
        await asyncio.to_thread(
            fuzz, operation, GenerationMode.POSITIVE, base_url, backend.sign_in()
        )
