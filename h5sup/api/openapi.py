"""The calls as an OpenAPI document, made from their declarations when it is first asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct, inspect

from h5sup import __version__
from h5sup.api import present
from h5sup.api.call import AnyCall, Call, Caller, NoParameters
from h5sup.api.parameters import describe, fields_of
from h5sup.auth.guard import Access

REF = "#/components/schemas/{name}"
ABOUT = (
    "Names of calls and parameters may be in any case and unknown parameters are ignored. A "
    "failure is answered with HTTP 200, `bStatus` false and one sentence in `strCode`; no session "
    "or a dead one with 401."
)
SECURITY: dict[str, dict[str, str]] = {
    "session": {"type": "apiKey", "in": "query", "name": "session"},
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`token <session>`",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "h5s_session",
        "description": "for what only reads",
    },
}
PROOFS = {
    Access.READ: ("session", "header", "cookie"),
    Access.ACT: ("session", "header"),
    Access.SOCKET: ("session", "header"),
}

Json = dict[str, Any]


def declare(others: Sequence[AnyCall]) -> AnyCall:
    """Return the call that answers with the document of `others` and of itself."""

    @cache
    def document() -> bytes:
        return msgspec.json.encode(build([*others, call])) + b"\r\n"

    async def get_openapi(caller: Caller, given: NoParameters) -> web.Response:
        """Describe all calls for programs."""
        del caller, given
        return web.Response(body=document(), content_type="application/json")

    call = Call(
        name="openapi.json",
        section="",
        description="This list for programs, as OpenAPI 3.1; `/api/docs` shows it in a browser.",
        parameters=NoParameters,
        answer="application/json",
        role="Viewer",
        access=Access.READ,
        handler=get_openapi,
    )
    return call


def build(calls: Sequence[AnyCall]) -> Json:
    """Return the document."""
    answers: set[type[Struct]] = {
        call.answer for call in calls if not isinstance(call.answer, str)
    }
    answers |= {present.Outcome, present.LoginRefusal}
    kinds: list[type[Struct]] = sorted(answers, key=lambda one: one.__name__)
    references, components = msgspec.json.schema_components(kinds, ref_template=REF)
    by_kind = dict(zip(kinds, references, strict=True))
    return {
        "openapi": "3.1.0",
        "info": {"title": "h5sup", "version": __version__, "description": ABOUT},
        "servers": [{"url": "/"}],
        "paths": {f"/api/v1/{call.name}": _path(call, by_kind) for call in calls},
        "components": {"schemas": components, "securitySchemes": SECURITY},
    }


def _path(call: AnyCall, by_kind: dict[type[Struct], Json]) -> Json:
    tag = f"manual {call.section.rpartition('.')[0]}" if call.section else "beyond the manual"
    common: Json = {
        "tags": [tag],
        "summary": call.description.partition(". ")[0].rstrip("."),
        "description": call.description,
        "security": [{name: []} for name in PROOFS[call.access]] if call.role else [],
        "responses": _responses(call, by_kind),
        "x-role": call.role or "",
        "x-section": call.section,
    }
    name = re.sub(r"\W", "_", call.name)
    parameters = [_parameter(one, schema) for one, schema in _schemas(call)]
    found: Json = {"get": common | {"operationId": name, "parameters": parameters}}
    if call.access is Access.ACT:
        found["post"] = common | {"operationId": f"{name}_form", "requestBody": _form(call)}
    return found


def _schemas(call: AnyCall) -> list[tuple[inspect.Field, Json]]:
    _, components = msgspec.json.schema_components([call.parameters])
    properties = components[call.parameters.__name__].get("properties", {})
    fields = fields_of(call.parameters)
    return [(one, _given(properties[one.encode_name], one)) for one in fields]


def _given(schema: Json, field: inspect.Field) -> Json:
    """Return what may be given: nothing stands for null in a query."""
    named = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    schema = named[0] if named else schema
    kept = {key: value for key, value in schema.items() if key not in ("description", "default")}
    if not field.required and field.default not in (None, ""):
        kept["default"] = field.default
    return kept


def _parameter(field: inspect.Field, schema: Json) -> Json:
    return {
        "name": field.encode_name,
        "in": "query",
        "required": field.required,
        "description": _words(field),
        "schema": schema,
    }


def _form(call: AnyCall) -> Json:
    schemas = _schemas(call)
    schema: Json = {
        "type": "object",
        "properties": {one.encode_name: schema for one, schema in schemas},
        "required": [one.encode_name for one, _ in schemas if one.required],
    }
    return {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}


def _words(field: inspect.Field) -> str:
    words = describe(field)
    if isinstance(field.type, inspect.Metadata):
        words += f"; {(field.type.extra_json_schema or {}).get('description', '')}"
    return words


def _responses(call: AnyCall, by_kind: dict[type[Struct], Json]) -> Json:
    refusals = [by_kind[present.Outcome]]
    if call.name == "Login":
        refusals.append(by_kind[present.LoginRefusal])
    content: Json = {"application/json": {"schema": {"type": "object"}}}
    if not isinstance(call.answer, str):
        answers = [by_kind[call.answer], *refusals]
        content["application/json"]["schema"] = {"anyOf": answers}
    elif call.answer not in content:
        content = {call.answer: {}, "application/json": {"schema": refusals[0]}}
    found: Json = {"200": {"description": "the answer, or why there is none", "content": content}}
    found["400"] = {
        "description": "a request beyond all reason, such as an address of more than 8 kB",
        "content": {"text/plain": {}},
    }
    if call.role is not None:
        sentence = {"application/json": {"schema": by_kind[present.Outcome]}}
        found["401"] = {"description": "no session, or a dead one", "content": sentence}
    return found
