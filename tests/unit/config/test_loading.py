"""config.json: what is accepted, and the one sentence with a JSON path for what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from h5sup.base.errors import ConfigError
from h5sup.config.loading import load_config, parse_config, parse_device, parse_source, schema
from h5sup.config.model import Config, IceServerConfig, SourceConfig, UserConfig

ONVIF: dict[str, Any] = {"token": "a", "type": "onvif", "host": "fe80::1"}
DEVICE: dict[str, Any] = {"token": "nvr", "type": "hik", "host": "nvr.example", "port": 8000}
SOURCE: dict[str, Any] = {"token": "front", "type": "rtsp", "url": "rtsp://192.0.2.5/live"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def refuse(path: Path, raw: Any) -> ConfigError:
    """Return the complaint about `raw`, written as JSON unless it is text already."""
    path.write_text(raw if isinstance(raw, str) else json.dumps(raw), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)
    return caught.value


def test_empty_object_gives_every_default(path: Path) -> None:
    path.write_text("{}")
    assert load_config(path) == Config()


def test_what_is_written_is_what_is_loaded(path: Path) -> None:
    path.write_text(
        json.dumps({"http": {"port": 0}, "hls": {"segment_s": 1}, "sources": [SOURCE]})
    )
    config = load_config(path)
    assert (config.http.port, config.hls.segment_s) == (0, 1.0)
    assert config.sources == (SourceConfig(**SOURCE),)


def test_byte_order_mark_of_a_windows_editor_is_no_matter(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert load_config(path) == Config()


@pytest.mark.parametrize(
    ("raw", "where", "problem"),
    [
        ({"htpp": {}}, "htpp", "unknown key"),
        ({"http": {"prot": 1}}, "http.prot", "unknown key"),
        ({"sources": [SOURCE | {"urk": ""}]}, "sources[0].urk", "unknown key"),
        ({"http": {"port": "80"}}, "http.port", "expected a whole number, got a text"),
        ({"http": {"port": True}}, "http.port", "expected a whole number, got true or false"),
        ({"http": {"port": 80.5}}, "http.port", "expected a whole number, got a number"),
        ({"http": {"port": None}}, "http.port", "got null"),
        ({"http": []}, "http", "expected an object, got a list"),
        ({"http": {"port": 65536}}, "http.port", "<= 65535"),
        ({"http": {"port": -1}}, "http.port", ">= 0"),
        ({"hls": {"segment_s": 0.4}}, "hls.segment_s", ">= 0.5"),
        ({"hls": {"segments": 31}}, "hls.segments", "<= 30"),
        ({"limits": {"viewer_bytes": 1}}, "limits.viewer_bytes", ">= 65536"),
        ({"auth": {"session_timeout_s": 1}}, "auth.session_timeout_s", ">= 10"),
        ({"auth": {"users": [{"name": "a"}]}}, "auth.users[0]", "missing required key `password`"),
        ({"sources": {}}, "sources", "expected a list, got an object"),
        ({"sources": [{"token": "a", "type": "file"}]}, "sources[0].url", "is missing"),
        ({"sources": [SOURCE, SOURCE | {"type": "rstp"}]}, "sources[1].type", "'rstp'"),
        ({"sources": [SOURCE | {"url": ""}]}, "sources[0].url", "is missing"),
        (
            {"sources": [SOURCE | {"type": "file", "url": "a.mp4", "playback": True}]},
            "sources[0].playback",
            "is for sources of type rtsp",
        ),
        ({"sources": [SOURCE | {"type": "device"}]}, "sources[0].type", "come by themselves"),
        ({"sources": [ONVIF | {"host": ""}]}, "sources[0].host", "host name or an address"),
        ({"sources": [ONVIF | {"host": "a b"}]}, "sources[0].host", "host name or an address"),
        ({"sources": [ONVIF | {"url": "rtsp://h/"}]}, "sources[0].url", "tells itself"),
        ({"sources": [ONVIF | {"onvif_addr": "x"}]}, "sources[0].onvif_addr", "must look like"),
        ({"sources": [ONVIF | {"fingerprint": "zz"}]}, "sources[0].fingerprint", "SHA-256: 64"),
        ({"devices": [DEVICE | {"fingerprint": "ab"}]}, "devices[0].fingerprint", "SHA-256: 64"),
        ({"sources": [SOURCE | {"https": True}]}, "sources[0].https", "for sources of type onvif"),
        (
            {"sources": [SOURCE | {"fingerprint": "ab" * 32}]},
            "sources[0].fingerprint",
            "is for sources of type onvif and rtsps://",
        ),
        (
            {"sources": [SOURCE | {"url": "rtsps://192.0.2.7/", "fingerprint": "zz"}]},
            "sources[0].fingerprint",
            "SHA-256: 64",
        ),
        ({"devices": [DEVICE | {"host": "h:80"}]}, "devices[0].host", "without port"),
        ({"devices": [DEVICE | {"port": 0}]}, "devices[0].port", ">= 1"),
        ({"devices": [DEVICE, DEVICE]}, "devices[1].token", "stands already at devices[0]"),
        ({"sources": [SOURCE | {"stall_timeout_s": 0}]}, "sources[0].stall_timeout_s", ">= 1"),
        ({"sources": [SOURCE | {"profile": "a/b"}]}, "sources[0].profile", "must be 1 to 64"),
        ({"sources": [SOURCE | {"profile": "a\n"}]}, "sources[0].profile", "must be 1 to 64"),
        ({"sources": [SOURCE | {"sub": {"ulr": ""}}]}, "sources[0].sub.ulr", "unknown key"),
        ([], "", "expected an object, got a list"),
    ],
)
def test_complaint_names_the_json_path(path: Path, raw: Any, where: str, problem: str) -> None:
    error = refuse(path, raw)
    assert error.path == where
    assert problem in error.problem


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a/b", "a b", "a--b", "x" * 65, "zürich", "a\n", "../etc", "a%2fb", "a\0"],
)
def test_token_that_can_not_stand_in_a_url_is_refused(path: Path, token: str) -> None:
    error = refuse(path, {"sources": [SOURCE | {"token": token}]})
    assert error.path == "sources[0].token"
    assert error.problem == "must be 1 to 64 letters, digits, '_', '.' or '-', without '--'"


@pytest.mark.parametrize("pattern", ["", "a b", "*a", "a**", "a*b", "a,b", "x" * 129, "a\n"])
def test_list_of_what_are_no_tokens_is_refused(path: Path, pattern: str) -> None:
    user = {"name": "vera", "password": "x", "sources": ["front", pattern]}
    error = refuse(path, {"auth": {"users": [user]}})
    assert error.path == "auth.users[0].sources[1]"
    assert error.problem == "must be a token, or the beginning of tokens followed by '*'"


@pytest.mark.parametrize("token", ["a", "...", "Front_door-1.main", "x" * 64, "-"])
def test_token_of_the_allowed_letters_is_taken(token: str) -> None:
    assert parse_source(SOURCE | {"token": token}).token == token


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "config.json line 1, column 1"),
        ('{"http": {"port": 1,}}', "config.json line 1"),
        ('{"hls": {"segment_s": NaN}}', "NaN is no number of JSON"),
        ('{"hls": {"segment_s": -Infinity}}', "-Infinity is no number of JSON"),
        (f'{{"http": {{"port": {"9" * 5000}}}}}', "thousands of digits"),
        ("[" * 100_000, "nested too deeply"),
        ('{"http": {}, "http": {}}', "http: the key stands twice"),
    ],
)
def test_text_that_is_no_json(path: Path, text: str, problem: str) -> None:
    assert problem in str(refuse(path, text))


def test_number_beyond_every_float_is_out_of_range(path: Path) -> None:
    assert refuse(path, '{"hls": {"segment_s": 1e400}}').path == "hls.segment_s"


def test_missing_file_is_named(path: Path) -> None:
    with pytest.raises(ConfigError, match=f"there is no file {path}"):
        load_config(path)


def test_file_that_is_not_text_is_named(path: Path) -> None:
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(path)


def test_folder_instead_of_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(tmp_path)


def test_variable_takes_its_value_from_the_environment(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", 'p"w$')
    source = SOURCE | {"password": "${CAMERA_PASSWORD}", "name": "$HOME ${", "audio": False}
    path.write_text(json.dumps({"sources": [source]}))
    (loaded,) = load_config(path).sources
    assert (loaded.password, loaded.name, loaded.audio) == ('p"w$', "$HOME ${", False)


def test_missing_variable_is_named_with_its_place(path: Path) -> None:
    error = refuse(path, {"sources": [SOURCE | {"user": "${H5SUP_NO_SUCH_NAME}"}]})
    assert error.path == "sources[0].user"
    assert error.problem == "the environment has no variable H5SUP_NO_SUCH_NAME"


def test_source_of_the_api_is_checked_alike() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_source(SOURCE | {"url": "exec:rm"})
    assert caught.value.path == "url"
    with pytest.raises(ConfigError) as caught:
        parse_source(SOURCE | {"tokne": "x"})
    assert caught.value.path == "tokne"


def test_passwords_do_not_show_in_a_repr() -> None:
    source = SourceConfig(**SOURCE, password="secret1")
    user = UserConfig(name="ann", password="secret2")
    turn = IceServerConfig(urls=("turn:turn.example",), credential="secret3")
    assert "secret" not in f"{source!r} {user!r} {turn!r} {Config(sources=(source,))!r}"


def test_schema_knows_every_section_and_allows_no_other() -> None:
    definition = schema()["$defs"]["Config"]
    assert definition["properties"].keys() == set(Config.__struct_fields__)
    assert definition["additionalProperties"] is False


def test_cameras_and_devices_are_read() -> None:
    config = parse_config({"sources": [ONVIF], "devices": [DEVICE]})
    assert config.sources[0].host == "fe80::1"
    assert config.devices[0].type == "hik"
    assert "nvr.example" not in repr(config.devices[0])


def test_a_token_is_a_sources_or_a_devices() -> None:
    with pytest.raises(ConfigError, match=r"devices\[0\]\.token: 'a' is a source already"):
        parse_config({"sources": [ONVIF], "devices": [DEVICE | {"token": "a"}]})


def test_a_stored_device_is_checked() -> None:
    assert parse_device(DEVICE).port == 8000
    with pytest.raises(ConfigError, match="host: must be a host name"):
        parse_device(DEVICE | {"host": "a b"})
