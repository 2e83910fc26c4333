"""docs/api.md, written from the table: `python -m h5sup.api.reference > docs/api.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct, inspect

from h5sup.api.call import AnyCall
from h5sup.api.parameters import describe, fields_of
from h5sup.api.table import CALLS
from h5sup.auth.guard import Access

HEAD = """\
# The REST API

Written from the calls' declarations (`h5sup/api/`); don't edit it by hand, run
`python -m h5sup.api.reference > docs/api.md`.

Every call is `GET /api/v1/<name>?<parameters>`, or POST with the parameters in a form. Names of
calls and parameters may be in any case, unknown parameters are ignored, the last of repeated ones
that has a value counts. Answers are JSON followed by CRLF.

- **Session**: the id that Login gives, as `session=`, as `Authorization: token <id>`, or, for what
  only reads, as the cookie `h5s_session`. Every call extends it.
- **Failures**: no session or a dead one answers HTTP 401; every other failure HTTP 200 (405 for
  another method, 500 for a fault of the server). The body is
  `{"bStatus": false, "strCode": "<one sentence that says what to do>"}`.
- **Roles**: Administrator > Operator > Viewer; `auth.strict_roles: false` lets all do all.

- **Sources**: a user may be limited to some (`sources`). Any other is answered as one that does
  not exist, by calls, WebSockets, WebRTC and HLS alike.

WebSockets (`/api/v1/h5swsapi`, `/api/v1/h5swscmnapi`) and `/hls/` take the same session, and so
does `/api/v1/h5seventapi`, see [events.md](events.md).
"""
ACCESS = {Access.READ: "reads", Access.ACT: "changes", Access.SOCKET: "opens a WebSocket"}


def render(calls: Sequence[AnyCall]) -> str:
    """Return the whole document."""
    return "\n".join([HEAD, *(line for call in calls for line in _call(call))])


def _call(call: AnyCall) -> Iterator[str]:
    section = f"manual {call.section}" if call.section else "not in the manual"
    role = call.role or "nobody needs to be signed in"
    yield f"## {call.name}\n"
    yield f"{call.description}\n"
    yield f"Least role: {role} · {ACCESS[call.access]} · {section}\n"
    fields = fields_of(call.parameters)
    if fields:
        yield "| parameter | | takes | default |\n|---|---|---|---|"
        yield from (_parameter(field) for field in fields)
        yield ""
    if isinstance(call.answer, str):
        yield f"Answers `{call.answer}`.\n"
    else:
        yield f"Answers {_shape(call.answer)}\n"


def _parameter(field: inspect.Field) -> str:
    need = "required" if field.required else "optional"
    takes = describe(field)
    if isinstance(field.type, inspect.Metadata):
        takes += f"; {(field.type.extra_json_schema or {}).get('description', '')}"
    default = "" if field.required or field.default in (None, "") else _json(field.default)
    return f"| `{field.encode_name}` | {need} | {takes} | {default} |"


def _shape(kind: type[Struct]) -> str:
    return ", ".join(_key(field) for field in fields_of(kind))


def _key(field: inspect.Field) -> str:
    match field.type:
        case inspect.ListType(item_type=inspect.StructType(cls=cls)):
            return f"`{field.encode_name}`, a list of: {_shape(cls)}"
        case _:
            return f"`{field.encode_name}`"


def _json(value: object) -> str:
    return f"`{msgspec.json.encode(value).decode()}`"


if __name__ == "__main__":
    sys.stdout.write(render(CALLS))
