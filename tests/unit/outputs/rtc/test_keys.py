from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.rtcp import build_pli
from h5sup.formats.rtp import RtpHeader, build_header
from h5sup.outputs.rtc.keys import protect_one
from tests.fakes.rtc_parts import PROFILES, Browser

PLI = build_pli(1, 2)


@pytest.mark.parametrize("profile", PROFILES)
def test_rtcp_goes_both_ways(profile: str) -> None:
    browser = Browser(profile)
    assert browser.keys.unprotect_rtcp(browser.say(PLI)) == PLI
    assert browser.decrypt_rtcp(browser.keys.protect_rtcp(PLI)) == PLI


@pytest.mark.parametrize("profile", PROFILES)
def test_what_comes_twice_or_from_strangers_is_refused(profile: str) -> None:
    browser = Browser(profile)
    said = browser.say(PLI)
    browser.keys.unprotect_rtcp(said)
    for wrong in (said, Browser(profile).say(PLI), said[:-1], PLI, b"\x80", b""):
        with pytest.raises(MediaFormatError, match="SRTCP with a wrong key"):
            browser.keys.unprotect_rtcp(wrong)


@given(st.binary(max_size=80), st.sampled_from([0, 1400, 1968]))
def test_random_bytes_raise_nothing_else(data: bytes, padding: int) -> None:
    keys = Browser().keys
    for whole in (data + bytes(padding), b"\x81\xce" + data + bytes(padding)):
        with pytest.raises(MediaFormatError):
            keys.unprotect_rtcp(whole)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("size", [1, 1200, 2000])
def test_one_packet_is_encrypted_alone(profile: str, size: int) -> None:
    browser = Browser(profile)
    header = build_header(RtpHeader(payload_type=96, sequence=7, timestamp=0, ssrc=3))
    clear = bytearray(header + bytes(size))
    protected = protect_one(browser.keys.context, clear)
    assert protected is not None
    assert len(protected) == len(clear) + browser.keys.tag_bytes
    assert browser.decrypt(protected) == clear


def test_what_libsrtp_refuses_is_none() -> None:
    assert protect_one(Browser().keys.context, bytearray(b"\x80")) is None
