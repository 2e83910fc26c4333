"""The whole way: a file in, a checked config.json with mode 600 out, no secret in the report."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import ConfigError
from h5sup.cli import main
from h5sup.config.loading import load_config, parse_config
from h5sup.importers.command import IMPORTERS, carry_over, import_file
from h5sup.importers.place import Place, Tree
from tests.unit.importers.rig import DATA

EXAMPLES = {
    "h5ss": "h5ss.conf",
    "go2rtc": "go2rtc.yaml",
    "mediamtx": "mediamtx.yml",
    "frigate": "frigate.yml",
}
SECRET = re.compile(r"[a-z]+-secret-\d+|827ccb0e|5ebe2294|BdSWkrdV")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


@pytest.mark.parametrize("kind", EXAMPLES)
def test_written_file_loads_and_is_its_owners_alone(
    kind: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", "x")
    monkeypatch.setenv("FRIGATE_RTSP_PASSWORD", "x")
    import_file(DATA / EXAMPLES[kind], target)
    assert load_config(target).sources
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_kind_is_recognised(kind: str, target: Path) -> None:
    report = import_file(DATA / EXAMPLES[kind], target)
    assert f"from {EXAMPLES[kind]}, {IMPORTERS[kind].product}: " in report.splitlines()[0]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_report_tells_no_secret(kind: str, target: Path) -> None:
    old = (DATA / EXAMPLES[kind]).read_text("utf-8")
    assert len(set(SECRET.findall(old))) >= 5
    assert not SECRET.findall(import_file(DATA / EXAMPLES[kind], target))


def test_report_has_the_four_parts(target: Path) -> None:
    report = import_file(DATA / "go2rtc.yaml", target, environment={})
    headings = [line for line in report.splitlines() if line and not line.startswith(" ")]
    assert headings[0].endswith("go2rtc.yaml, go2rtc: 13 sources, 1 user")
    assert headings[1:4] == ["Taken over", "Changed", "Not carried over"]
    assert "unset here: CAMERA_PASS, CAMERA_USER" in headings[4]
    assert headings[5].endswith("h5sup first: CAMERA_PASSWORD")
    assert "ffmpeg_profiles" in headings[6]
    assert headings[7].endswith(f"./run.py --config {target} --check")


def test_report_does_not_reach_the_terminal_as_commands(tmp_path: Path, target: Path) -> None:
    old = tmp_path / "go2rtc.yaml"
    name = "\\e]0;pwned\\a" + "x" * 300
    old.write_text(f'streams:\n  "{name}": "rtsp://192.0.2.1/"\n  "{name}2": "exec:x"\n')
    report = import_file(old, target)
    assert all(letter.isprintable() for line in report.split("\n") for letter in line)
    assert max(map(len, report.split("\n"))) < 500


def test_file_that_is_there_stays_unless_forced(target: Path) -> None:
    target.write_text("{}")
    with pytest.raises(ConfigError, match="is there already"):
        import_file(DATA / "h5ss.conf", target)
    assert target.read_text() == "{}"
    import_file(DATA / "h5ss.conf", target, force=True)
    assert load_config(target).http.port == 8081
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_file_that_comes_meanwhile_stays_too(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def comes_late(path: Path) -> bool:
        path.write_text("mine")
        return False

    monkeypatch.setattr(Path, "exists", comes_late)
    with pytest.raises(ConfigError, match="is there already"):
        import_file(DATA / "h5ss.conf", target)
    assert target.read_text() == "mine"
    assert list(target.parent.iterdir()) == [target]


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be written: No such file"):
        import_file(DATA / "h5ss.conf", tmp_path / "none" / "config.json")


def test_target_that_is_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be written"):
        import_file(DATA / "h5ss.conf", tmp_path, force=True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no object"),
        ("- a\n- b", "holds no object"),
        ("{}", "is of no kind that is known"),
        ("services: {}", "say which with --as, of h5ss, frigate, go2rtc, mediamtx"),
        ("{", "is no JSON"),
        ("a: [", "is no YAML"),
        ("\x00", "does not allow"),
    ],
)
def test_other_file_is_refused_with_one_sentence(
    tmp_path: Path, target: Path, text: str, problem: str
) -> None:
    old = tmp_path / "old"
    old.write_text(text)
    with pytest.raises(ConfigError, match=problem) as caught:
        import_file(old, target)
    assert str(caught.value).startswith("old: ")
    assert not target.exists()


def test_kind_that_is_said_wins(tmp_path: Path, target: Path) -> None:
    old = tmp_path / "old"
    old.write_text("streams: {a: 'rtsp://192.0.2.1/'}\npaths: {b: {source: 'rtsp://192.0.2.2/'}}")
    import_file(old, target, kind="mediamtx")
    assert [source.token for source in load_config(target).sources] == ["b"]


def test_go2rtc_in_json_is_read_when_its_kind_is_said(tmp_path: Path, target: Path) -> None:
    old = tmp_path / "old"
    old.write_text('{"streams": {"a": "rtsp://192.0.2.1/"}}')
    import_file(old, target, kind="go2rtc")
    assert [source.token for source in load_config(target).sources] == ["a"]


def test_kind_that_there_is_not_is_refused(target: Path) -> None:
    with pytest.raises(ConfigError, match="--as: must be one of h5ss, frigate, go2rtc, mediamtx"):
        import_file(DATA / "h5ss.conf", target, kind="zoneminder")


def test_command_line_writes_beside_config_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--import", str(DATA / "h5ss.conf")], tmp_path) == 0
    assert load_config(tmp_path / "config.imported.json").http.port == 8081
    assert "6 sources, 2 devices, 3 users" in capsys.readouterr().out


def test_command_line_tells_a_failure_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--import", str(tmp_path / "none")], tmp_path) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"h5sup: there is no file {tmp_path / 'none'}\n"


@pytest.mark.parametrize("extra", [["--as", "h5ss"], ["--out", "x"], ["--force"]])
def test_options_of_the_import_need_the_import(
    tmp_path: Path, extra: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(extra, tmp_path)
    assert "go with --import" in capsys.readouterr().err


WORDS = st.sampled_from(
    ["", "rtsp://u:p@192.0.2.1/", "ffmpeg:a#video=copy", "exec:x", "${A}", "${A:b}", "{FRIGATE_X}",
     "rtsp://127.0.0.1:8554/a", "true", "no", "8080", "99999999999", "a", "--", "../x", "\x1b[0m",
     "H5_STREAM", "H5_FILE", "Administrator", "827ccb0eea8a706c4c34a16891f84e7b", ":", "[x", "://",
     "rtsp://[", "any", "detect", "record", "x" * 3000, "\u202e", "stun:a"]
)  # fmt: skip
LEAVES = WORDS | st.none() | st.booleans() | st.integers(-5, 99999) | st.floats() | st.text()
KEYS = st.sampled_from(
    ["http", "nHTTPPort", "hls", "nHLSSinkType", "webrtc", "bWebRTCSink", "strRelatedPublicIp",
     "user", "users", "strUser", "strPasswd", "strUserType", "source", "src", "strToken", "nType",
     "strUrl", "device", "dev", "gb28181", "bEnable", "api", "username", "password", "listen",
     "candidates", "ice_servers", "urls", "streams", "preload", "a", "paths", "pathDefaults",
     "sourceOnDemand", "authInternalUsers", "pass", "permissions", "action", "webrtcICEServers2",
     "url", "cameras", "enabled", "ffmpeg", "inputs", "path", "roles", "go2rtc", "input_args",
     "name", "runOnReady", "readPass", "hlsSegmentDuration"]
)  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=40,
)


@given(st.dictionaries(KEYS, TREES, max_size=8))
def test_any_tree_gives_a_configuration_that_loads(tree: dict[str, Any]) -> None:
    for kind in IMPORTERS:
        raw, draft = carry_over(tree, kind, {})
        parse_config(json.loads(json.dumps(raw)), draft.environment)


@given(TREES)
def test_any_tree_can_be_looked_at(tree: Tree) -> None:
    assert isinstance([importer.recognises(Place(tree)) for importer in IMPORTERS.values()], list)
