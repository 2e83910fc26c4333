"""What types can't say: addresses, names given twice, an Administrator at least."""

from __future__ import annotations

import pytest

from h5sup.base.errors import ConfigError
from h5sup.config.checks import check_config, check_url
from h5sup.config.model import (
    AuthConfig,
    Config,
    HttpConfig,
    IceServerConfig,
    Role,
    RtcConfig,
    SourceConfig,
    SubInput,
    UserConfig,
)

CAMERA = "rtsp://192.0.2.5/live"


def source(token: str = "front", *, url: str = CAMERA, sub: str = "") -> SourceConfig:
    return SourceConfig(token=token, type="rtsp", url=url, sub=SubInput(url=sub))


def user(name: str, role: Role = "Administrator") -> UserConfig:
    return UserConfig(name=name, password="pw", role=role)


def refuse(config: Config) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        check_config(config)
    return caught.value


def test_defaults_pass() -> None:
    check_config(Config())


def test_token_given_twice_names_both_places() -> None:
    error = refuse(Config(sources=(source("a"), source("b"), source("a"))))
    assert error.path == "sources[2].token"
    assert error.problem == "'a' stands already at sources[0]"


def test_user_given_twice_names_both_places() -> None:
    error = refuse(Config(auth=AuthConfig(users=(user("ann"), user("ann")))))
    assert error.path == "auth.users[1].name"


def test_nobody_who_may_administer_is_refused() -> None:
    users = (user("ann", "Operator"), user("bob", "Viewer"))
    assert refuse(Config(auth=AuthConfig(users=users))).path == "auth.users"


def test_without_login_nobody_need_administer() -> None:
    check_config(Config(auth=AuthConfig(enabled=False, users=())))


def test_administrator_with_a_list_of_sources_is_refused() -> None:
    limited = UserConfig(name="b", password="x", role="Administrator", sources=("front",))
    error = refuse(Config(auth=AuthConfig(users=(user("a"), limited))))
    assert error.path == "auth.users[1].sources"
    viewer = UserConfig(name="b", password="x", sources=("front", "nvr--*"))
    check_config(Config(auth=AuthConfig(users=(user("a"), viewer))))


@pytest.mark.parametrize("origin", ["https://a.example", "http://192.0.2.1:8080"])
def test_origin_as_browsers_send_it_passes(origin: str) -> None:
    check_config(Config(http=HttpConfig(cors_origins=(origin,))))


@pytest.mark.parametrize("origin", ["*", "a.example", "ftp://a.example", "https://a.example/x"])
def test_origin_that_never_matches_is_refused(origin: str) -> None:
    config = Config(http=HttpConfig(cors_origins=("https://ok.example", origin)))
    assert refuse(config).path == "http.cors_origins[1]"


def test_public_addresses_are_addresses() -> None:
    check_config(Config(rtc=RtcConfig(public_ips=("203.0.113.7", "2001:db8::7"))))
    for text in ("router.example", "203.0.113.7:50000", ""):
        config = Config(rtc=RtcConfig(public_ips=("203.0.113.7", text)))
        assert refuse(config).path == "rtc.public_ips[1]"


@pytest.mark.parametrize("url", ["stun:stun.example", "turns:turn.example:5349?transport=tcp"])
def test_ice_server_as_browsers_take_it_passes(url: str) -> None:
    check_config(Config(rtc=RtcConfig(ice_servers=(IceServerConfig(urls=(url,)),))))


@pytest.mark.parametrize("url", ["stun.example", "stun://stun.example", "turn:a b", "http:x"])
def test_ice_server_that_browsers_refuse_is_refused(url: str) -> None:
    server = IceServerConfig(urls=("stun:ok.example", url))
    assert (
        refuse(Config(rtc=RtcConfig(ice_servers=(server,)))).path == "rtc.ice_servers[0].urls[1]"
    )


@pytest.mark.parametrize(
    ("http", "path"),
    [
        (HttpConfig(port=8443, tls_port=8443), "http.tls_port"),
        (HttpConfig(tls_port=8443, tls_cert="a.pem"), "http.tls_key"),
        (HttpConfig(tls_port=8443, tls_key="a.key"), "http.tls_cert"),
    ],
)
def test_https_that_can_not_be_is_refused(http: HttpConfig, path: str) -> None:
    assert refuse(Config(http=http)).path == path


def test_a_key_that_can_be_guessed_is_refused() -> None:
    assert refuse(Config(auth=AuthConfig(metrics_key="x" * 15))).path == "auth.metrics_key"
    check_config(Config(auth=AuthConfig(metrics_key="x" * 16)))


def test_https_is_off_or_beside_http() -> None:
    check_config(Config(http=HttpConfig(port=0, tls_port=0)))
    check_config(Config(http=HttpConfig(tls_port=8443, tls_cert="a.pem", tls_key="a.key")))


def test_address_of_the_second_input_is_checked() -> None:
    assert refuse(Config(sources=(source(sub="file:///etc/passwd"),))).path == "sources[0].sub.url"


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://192.0.2.5",
        "rtsps://cam.example:322/a?b=c",
        "rtmp://cam.example/app/key",
        "rtmps://cam.example/app/key",
        "http://[2001:db8::1]:80/x.ts",
        "https://u:p%40w@cam.example/x.m3u8",
        "RTSP://cam.example/",
    ],
)
def test_address_of_a_camera_passes(url: str) -> None:
    check_url("rtsp", url, "url")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("file:///etc/passwd", "must begin with one of http, https, rtmp"),
        ("/etc/passwd", "must begin with"),
        ("concat:a|b", "must begin with"),
        ("exec:id", "must begin with"),
        ("pipe:0", "must begin with"),
        ("subfile,,start,1,end,2,,:/etc/passwd", "must begin with"),
        ("udp://239.0.0.1:5000", "must begin with"),
        ("rtsp:", "names no host"),
        ("rtsp:///live", "names no host"),
        ("rtsp://user:pw@/live", "names no host"),
        ("rtsp://cam one/live", "names no host"),
        ("rtsp://cam:99999/", "check host and port"),
        ("rtsp://cam:x/", "check host and port"),
        ("rtsp://[::1/", "check host and port"),
        ("rtsp://cam:0/", "port 0"),
        ("rtsp://cam/\n-f", "control characters"),
        ("rtsp://cam/\0", "control characters"),
        ("rtsp://cam/\x7f", "control characters"),
    ],
)
def test_other_address_is_refused(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        check_url("rtsp", url, "url")


@pytest.mark.parametrize("path", ["demo.mp4", "sub folder/a: b.mp4", "/srv/media/x.ts", "-i.mp4"])
def test_path_of_a_file_passes(path: str) -> None:
    check_url("file", path, "url")


@pytest.mark.parametrize(
    "url", ["file:demo.mp4", "concat:a|b", "exec:id", "pipe:0", "http://a/b.mp4", "subfile:x"]
)
def test_file_by_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"must be the path of a file under paths\.media_root"):
        check_url("file", url, "url")
