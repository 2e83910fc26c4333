"""The declared calls against the contract in tests/data, and against docs/api.md.

endpoints.json is the manual's contract, dashboard_calls.json what is called beyond it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, inspect

from h5sup.api.call import AnyCall
from h5sup.api.parameters import fields_of
from h5sup.api.reference import render
from h5sup.api.table import CALLS
from tests.api.conftest import Backend
from tests.api.fakes import source
from tests.fakes.steerable import FakeSteerable

ROOT = Path(__file__).parents[2]
CONTRACT: dict[str, Any] = {
    entry["name"]: entry
    for name in ("endpoints.json", "dashboard_calls.json")
    for entry in json.loads((ROOT / "tests/data" / name).read_text())["endpoints"]
}
PUBLIC = {"Login", "GetLoadingImage"}
PLANNED = {
    "AddRTMPPush", "GetGbDevice", "GetGbDeviceSrc",
}  # fmt: skip
# The manual has no change of a user but the password; its clients send both, ours need not.
LENIENT = {"oldpassword", "newpassword"}
TYPES = {
    inspect.BoolType: "bool",
    inspect.IntType: "int",
    inspect.StrType: "str",
    inspect.FloatType: "float",
    inspect.LiteralType: "str",
}


def wire_shape(kind: type[Struct]) -> dict[str, Any]:
    """Return a declared answer as the contract writes it."""
    return {field.encode_name: shape_of(field.type) for field in fields_of(kind)}


def shape_of(kind: inspect.Type) -> Any:
    if isinstance(kind, inspect.ListType | inspect.VarTupleType):
        item = kind.item_type
        return [wire_shape(item.cls) if isinstance(item, inspect.StructType) else shape_of(item)]
    if isinstance(kind, inspect.UnionType):  # a figure that may be missing
        return shape_of(kind.types[0])
    return TYPES[type(kind)]


def assert_holds(shape: Any, wanted: Any, path: str) -> None:
    """Fail unless all that is wanted is there, with its type."""
    if isinstance(wanted, dict):
        for key, inner in wanted.items():
            assert key in shape, f"{path} lacks {key}"
            assert_holds(shape[key], inner, f"{path}.{key}")
    elif isinstance(wanted, list):
        for one in shape:
            assert_holds(one, wanted[0], f"{path}[]")
    else:
        assert shape == wanted.replace("iso8601", "str"), path


def test_every_call_of_this_stage_is_declared() -> None:
    assert {call.name for call in CALLS} == CONTRACT.keys() - PLANNED


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_call_is_declared_as_the_contract_says(call: AnyCall) -> None:
    wanted = CONTRACT[call.name]

    assert call.section == wanted["section"]
    assert (call.role or "none") == wanted["role"]
    declared = {field.encode_name: field.required for field in fields_of(call.parameters)}
    for name, (need, _) in wanted["params"].items():
        assert declared[name] is (need == "required" and name not in LENIENT), name
    if isinstance(call.answer, str):
        assert wanted["response"] == {"(body)": call.answer}
    else:
        assert_holds(wire_shape(call.answer), wanted["response"], call.name)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("Login", "user=admin&password=827ccb0eea8a706c4c34a16891f84e7b"),
        ("Keepalive", ""),
        ("GetSystemInfo", ""),
        (
            "UpdateUser",
            "user=admin&oldpassword=827ccb0eea8a706c4c34a16891f84e7b&newpassword=xxxxxx",
        ),
        ("GetSrc", ""),
        ("AddSrcFile", "name=xxx&token=xxx&url=demo.mp4"),
        ("AddSrcRTSP", "name=xxx&token=xxx&user=admin&password=12345&url=rtsp://192.168.0.1/live"),
        ("DelSrc", "token=back"),
        ("GetDevice", ""),
        *(
            (
                f"AddDevice{kind}",
                "name=name1&token=token1&user=admin&password=12345&ip=192.168.0.1&port=8000",
            )
            for kind in ("Hik", "Dh")
        ),
        ("h5swsapi/Status", ""),
        ("h5srtcapi/Status", ""),
        ("GetCodecInfo", ""),
        ("GetRunInfo", ""),
        ("GetCloudClientInfo", ""),
        ("GetServerList", ""),
        (
            "Search",
            "type=record&start=2018-03-07T120101%2b08&end=2018-04-26T130101%2b08&token=front",
        ),
        ("Snapshot", "token=front&filename=xxxxxx&"),
        (
            "PathSnapshot",
            "token=front&start1=2019-5-10&start2=15-59-42&tz=8&filename=xxxxxx&",
        ),
        ("PbSnapshot", "token=front&pbsession=xxxxxxx&"),
        ("SearchByFilename", "type=record&token=front&filename=1234"),
        ("GetRecordGaps", "token=front&start=2018-04-25&end=2018-04-26"),
        ("GetRecordCalendar", "token=front&year=2018&month=4"),
        ("GetVersion", ""),
        ("GetSrcWithoutDevice", ""),
        ("GetSrcCamera", "getonline=true"),
        ("GetVidStreamStatus", "token=front&stream=main"),
        ("cluster/GetClusterStatus", ""),
        ("GetDeviceSummary", ""),
        ("Ptz", "token=gate&action=left&speed=0.5"),
        ("Ptz", "token=gate&action=stop"),
        ("SetPreset", "token=gate&&presetname=2&presettoken=2"),
        ("GetPresets", "token=gate"),
        ("DelPreset", "token=gate&&presettoken=1"),
        ("GetSrcLog", "token=front"),
        ("Restart", ""),
        ("Logout", ""),
    ],
)
async def test_manuals_example_gets_the_contracts_answer(
    backend: Backend, name: str, query: str
) -> None:
    backend.sources.by_token["gate"] = gate = source("gate")
    gate.steering = FakeSteerable()
    answer = await backend.call(f"/api/v1/{name}?{query}&session={backend.sign_in()}")

    assert answer.get("bStatus", True) is True
    assert_holds(measured_shape(answer), CONTRACT[name]["response"], name)


def measured_shape(value: Any) -> Any:
    """Return an answer with each value replaced by the name of its type."""
    if isinstance(value, dict):
        return {key: measured_shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [measured_shape(inner) for inner in value]
    return type(value).__name__


async def test_every_call_but_the_public_ones_needs_a_session(backend: Backend) -> None:
    for call in CALLS:
        status = (await backend.get(f"/api/v1/{call.name}")).status
        assert (status == 401) is (call.name not in PUBLIC), call.name


def test_reference_is_what_the_table_says() -> None:
    written = (ROOT / "docs/api.md").read_text(encoding="utf-8")

    assert written == render(CALLS), "run: python -m h5sup.api.reference > docs/api.md"
