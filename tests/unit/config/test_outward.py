"""Where events may be sent to."""

from __future__ import annotations

import pytest

from h5sup.base.errors import ConfigError
from h5sup.config.broker import parse_broker
from h5sup.config.model import Config, MqttConfig, WebhookConfig
from h5sup.config.outward import check_outward

SECRET = "eight letters"


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "password", "has_tls"),
    [
        ("mqtt://broker", "broker", 1883, None, None, False),
        ("mqtts://broker/", "broker", 8883, None, None, True),
        ("mqtt://u@192.0.2.1:1884", "192.0.2.1", 1884, "u", None, False),
        ("mqtts://u:p%40%2F%3A@[2001:db8::1]:1", "2001:db8::1", 1, "u", "p@/:", True),
    ],
)
def test_a_brokers_address_is_taken_apart(
    url: str, host: str, port: int, user: str | None, password: str | None, has_tls: bool
) -> None:
    broker = parse_broker(url, "mqtt.url")
    assert (broker.host, broker.port) == (host, port)
    assert (broker.user, broker.password, broker.has_tls) == (user, password, has_tls)
    assert password is None or password not in repr(broker)


@pytest.mark.parametrize(
    "url",
    [
        "broker", "http://broker", "mqtt://", "mqtt://broker:0", "mqtt://broker:99999",
        "mqtt://u:se/cret@broker", "mqtt://u:p@broker/path", "mqtt://broker?x=1", "mqtt://broker#x",
        "mqtt://u:[secret@broker",
    ],
)  # fmt: skip
def test_what_is_no_broker_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_outward(Config(mqtt=MqttConfig(url=url)))
    assert error.value.path == "mqtt.url"
    assert "mqtt://user:password@broker.example:1883" in str(error.value)
    assert "cret" not in str(error.value)


@pytest.mark.parametrize("url", ["http://192.0.2.1/x", "https://u:p@host.example:8443/a?b=c"])
def test_private_and_public_addresses_are_fine_for_webhooks(url: str) -> None:
    check_outward(Config(webhooks=(WebhookConfig(url=url, secret=SECRET),)))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://host/x", "must look like https"),
        ("file:///etc/passwd", "must look like https"),
        ("https:///x", "must look like https"),
        ("http://host:0/", "must look like https"),
        ("http://host:99999/", "check host and port"),
        ("http://host/a b", "neither blanks"),
        ("http://host/\x7f", "neither blanks"),
    ],
)
def test_other_addresses_are_not(url: str, problem: str) -> None:
    good = WebhookConfig(url="http://host/", secret=SECRET)
    with pytest.raises(ConfigError, match=problem) as error:
        check_outward(Config(webhooks=(good, WebhookConfig(url=url, secret=SECRET))))
    assert error.value.path == "webhooks[1].url"


@pytest.mark.parametrize("prefix", ["", "a//b", "/a", "a/", "a/#", "+", "a b", "ä"])
def test_topics_are_plain(prefix: str) -> None:
    with pytest.raises(ConfigError, match="letters, digits") as error:
        check_outward(Config(mqtt=MqttConfig(prefix=prefix)))
    assert error.value.path == "mqtt.prefix"
    if prefix:
        with pytest.raises(ConfigError, match="or empty") as error:
            check_outward(Config(mqtt=MqttConfig(discovery=prefix)))
        assert error.value.path == "mqtt.discovery"
    check_outward(Config(mqtt=MqttConfig(prefix="home/h5sup", discovery="")))
