from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.http_auth import (
    Challenge,
    build_authorization,
    choose_challenge,
    parse_challenge,
)

# RFC 2617 §3.5 and RFC 7616 §3.9.1: the same request, answered with MD5 and with SHA-256.
REALM_2617 = "testrealm@host.com"
NONCE_2617 = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
NONCE_7616 = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE_7616 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def test_the_answer_is_that_of_the_specification() -> None:
    challenge = parse_challenge(
        f'Digest realm="{REALM_2617}", qop="auth,auth-int", nonce="{NONCE_2617}", '
        'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    given = build_authorization(
        challenge, user="Mufasa", password="Circle Of Life", method="GET", uri="/dir/index.html",
        count=1, cnonce="0a4f113b",
    )  # fmt: skip
    assert 'response="6629fae49393a05397450978507c4ef1"' in given
    assert 'opaque="5ccc069c403ebaf9f0171e9517f40e41"' in given
    assert "nc=00000001" in given


def test_sha_256_is_answered_as_the_specification_says() -> None:
    challenge = parse_challenge(
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, '
        f'nonce="{NONCE_7616}"'
    )
    given = build_authorization(
        challenge, user="Mufasa", password="Circle of Life", method="GET", uri="/dir/index.html",
        count=1, cnonce=CNONCE_7616,
    )  # fmt: skip
    assert "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" in given
    assert "algorithm=SHA-256" in given


def test_digest_comes_before_basic_and_what_is_unknown_is_passed_over() -> None:
    offers = [
        'Basic realm="x"',
        'Digest realm="x", nonce="1", algorithm=SHA-512-256',
        'Digest realm="x", nonce="1", qop="auth-int"',
        'Digest realm="x"',
        'Digest realm="x", nonce="2"',
    ]
    chosen = choose_challenge(offers)
    assert chosen is not None
    assert chosen.parameters["nonce"] == "2"
    basic = choose_challenge(offers[:4])
    assert basic is not None
    assert (
        build_authorization(basic, user="a", password="ü:", method="", uri="") == "Basic YTrDvDo="
    )
    assert choose_challenge(offers[1:4]) is None


def test_only_an_old_nonce_is_stale() -> None:
    assert parse_challenge('Digest nonce="1", stale=TRUE').is_stale
    assert not parse_challenge('Digest nonce="1", stale=false').is_stale
    assert not parse_challenge('Digest nonce="1"').is_stale


@pytest.mark.parametrize("value", ["", " ", "Digest " + "x" * 5000])
def test_what_is_no_demand_is_refused(value: str) -> None:
    with pytest.raises(MediaFormatError, match="can't be read"):
        parse_challenge(value)


@given(st.text(max_size=300), st.text(max_size=40))
def test_whatever_is_demanded_no_header_is_ended_by_it(value: str, user: str) -> None:
    try:
        challenge = parse_challenge(f"Digest {value}")
    except MediaFormatError:
        return
    if challenge.is_usable:
        built = build_authorization(
            challenge, user=user, password="p", method="PLAY", uri="rtsp://h/p"
        )
        assert "\r" not in built
        assert "\n" not in built


def test_what_is_quoted_stays_one_value() -> None:
    challenge = Challenge("digest", {"realm": 'a"b\\', "nonce": "n\r\n"})
    built = build_authorization(challenge, user='u"', password="p", method="PLAY", uri="rtsp://h")
    assert 'realm="a\\"b\\\\"' in built
    assert 'nonce="n"' in built
    assert parse_challenge(built).parameters["username"] == 'u"'
