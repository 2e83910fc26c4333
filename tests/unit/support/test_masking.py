"""What is secret is found and hidden, in whatever place of a configuration it stands."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.support.masking import MASKED, find_secrets, mask

SECRET = 'Geheim/7 @ü"'
KEYS = ["password", "publish_key", "credential", "client_secret", "password_hash", "Passwd", "pwd"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one], lambda one: {"inner": one}])
def test_secret_is_known_by_its_key(key: str, wrap: Any) -> None:
    raw = {"sources": [{"token": "front", key: wrap(SECRET)}]}
    assert SECRET in set(find_secrets(raw))
    assert SECRET not in json.dumps(mask(raw), ensure_ascii=False)
    assert mask(raw)["sources"][0]["token"] == "front"


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://viewer:s3cr3t-one@192.0.2.7/live",
        "rtsp://viewer:s3cr3t-one@x@192.0.2.7/live",
        "http://192.0.2.7/video?user=viewer&password=s3cr3t-one",
        "http://192.0.2.7/video?pwd=s3cr3t-one&channel=1",
        "mqtt://h5sup:s3cr3t-one@broker:1883",
    ],
)
def test_secret_in_an_address_is_found_and_hidden(address: str) -> None:
    assert any(one.startswith("s3cr3t-one") for one in find_secrets({"url": address}))
    assert "s3cr3t-one" not in mask({"url": address})["url"]
    assert mask({"url": address})["url"].startswith(address.partition("://")[0])


def test_forms_are_those_that_logs_and_clients_show() -> None:
    found = set(find_secrets({"password": SECRET}))
    assert "Geheim%2F7%20%40%C3%BC%22" in found
    assert 'Geheim/7 @ü\\"' in found
    assert 'Geheim/7 @\\u00fc\\"' in found
    assert hashlib.md5(SECRET.encode()).hexdigest() in found


def test_what_is_no_secret_stays() -> None:
    raw = {
        "http": {"port": 8080, "host": "0.0.0.0"},
        "auth": {"enabled": True, "users": [{"name": "ann", "password": ""}]},
        "sources": [{"token": "front", "url": "rtsp://192.0.2.7/live?channel=1", "user": "ann"}],
    }
    assert mask(raw) == raw
    assert set(find_secrets(raw)) == set()


def test_password_without_its_quotes_is_one() -> None:
    raw = {"users": [{"password": 12345678}, {"password": 7}, {"password": None}]}
    assert "12345678" in set(find_secrets(raw))
    assert [one["password"] for one in mask(raw)["users"]] == [MASKED, MASKED, None]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_any_json_is_masked_and_keeps_its_shape(value: Any) -> None:
    masked = mask(value)
    json.dumps(masked)
    assert type(masked) is type(value)
    list(find_secrets(value))
