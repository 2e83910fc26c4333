"""docs/api.md, written from the table of calls by `python -m tests.lint.api_document`."""

from __future__ import annotations

import json
import sys

import msgspec
from msgspec import Struct, inspect

from h5sup.api.call import AnyCall
from h5sup.api.parameters import describe, fields_of
from h5sup.api.table import CALLS

OPENING = """\
# The API

Written from the table of calls in `h5sup/api` by `make schema`; don't edit it by hand.

h5sup speaks the API of H5Stream: each call is `GET /api/v1/<name>?parameter=value`. Names are matched without regard to
case, unknown parameters are ignored, and POST with a form works as well, so that a password stays out of the URL.

**Session.** Login gives `strSession`. Send it as `session=` in the query or as the header `Authorization: token <session>`.
Login also sets the cookie `h5s_session`, which is good for reading alone: pictures, HLS, and WebSockets from h5sup's
own pages.

**Failures.** An answer is JSON. What fails is HTTP 200 with `{"bStatus": false, "strCode": "<why, in one sentence>"}`; without a
session, or with a dead one, it is 401 with the same body.

**Roles.** Viewer, Operator, Administrator; each may do what those before it may.
"""

CLOSING = """\
## Media

All of these need a session.

| address | what |
|---|---|
| `ws://<host>/api/v1/h5swsapi?token=T` | live fragmented MP4 over WebSocket: first binary message the MIME type, then init segment and fragments; texts are events. `profile=` is `main`, `sub` or a profile's name; `hevc=true` asks for H.265 as it comes |
| `ws://<host>/api/v1/h5swscmnapi?token=T` | keeps an on-demand source running for HLS while it is open |
| `/hls/v1/T/hls.m3u8` | HLS with MPEG-TS |
| `/hls/v2/T/hls.m3u8` | HLS with fragmented MP4 |
| `/healthz` | 200 while h5sup serves; needs no session |
"""


def render() -> str:
    """Return the whole document."""
    return "\n".join([OPENING, *(_render_call(call) for call in CALLS), CLOSING])


def _render_call(call: AnyCall) -> str:
    chapter = f"Chapter {call.section} of the manual. " if call.section else ""
    role = f"Least role: {call.role}." if call.role else "Needs no session."
    lines = [f"## {call.name}", "", call.description, "", chapter + role, ""]
    parameters = fields_of(call.parameters)
    if parameters:
        lines += ["| parameter | takes | default | |", "|---|---|---|---|"]
        lines += [_render_parameter(field) for field in parameters]
        lines.append("")
    return "\n".join([*lines, _render_answer(call.answer), ""])


def _render_parameter(field: inspect.Field) -> str:
    takes, note = describe(field), ""
    if isinstance(field.type, inspect.Metadata):
        note = str((field.type.extra_json_schema or {}).get("description", ""))
    if field.required:
        default = "required"
    else:
        default = "" if field.default is None else f"`{json.dumps(field.default)}`"
    return f"| `{field.encode_name}` | {takes} | {default} | {note} |"


def _render_answer(answer: type[Struct] | str) -> str:
    if isinstance(answer, str):
        return f"Answer: {answer}."
    return f"Answer: {_shape(inspect.type_info(answer))}."


def _shape(info: inspect.Type) -> str:
    match info:
        case inspect.StructType(fields=fields):
            return ", ".join(f"`{field.encode_name}`{_nested(field.type)}" for field in fields)
        case _:
            raise TypeError(f"no words for {info}")


def _nested(info: inspect.Type) -> str:
    match info:
        case inspect.ListType(item_type=item):
            return f", a list of objects with {_shape(item)}"
        case _:
            return ""


if __name__ == "__main__":
    sys.stdout.write(render())
