"""What cameras say, read into ours: all a camera might say instead."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.devices.model import DeviceError
from h5sup.devices.onvif import messages
from h5sup.devices.onvif.envelope import SOAP_ENVELOPE, SoapFaultError, parse
from h5sup.devices.onvif.messages import (
    OnvifProfile,
    choose_profiles,
    path_of,
    read_profiles,
    read_time,
    rehost,
)
from h5sup.devices.onvif.soap import Book
from h5sup.devices.onvif.spaces import read_presets
from h5sup.devices.onvif.topics import read_notices

ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["token", "Name", "UTCDateTime", "Date", "Time", "Year", "Month", "Day", "Hour",
                 "Spaces", "ContinuousPanTiltVelocitySpace", "XRange", "Min", "Max", "XAddr",
                 "Media", "VideoEncoderConfiguration", "Resolution", "Width", "RateControl", "Uri",
                 "AuxiliaryCommands", "PresetToken", "Continuous", "Speed", "PTZ"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


def profile(token: str, codec: str, width: int, height: int) -> OnvifProfile:
    return OnvifProfile(
        token=token, name="", codec=codec, width=width, height=height, fps=25, bitrate_kbps=0,
        video_source="", ptz="",
    )  # fmt: skip


LARGE = profile("large", "H264", 1920, 1080)
SMALL = profile("small", "H264", 640, 360)
HUGE_HEVC = profile("hevc", "H265", 3840, 2160)
STILL = profile("still", "JPEG", 320, 240)


@given(ANYTHING)
def test_whatever_a_camera_says_is_read_or_left(answer: Any) -> None:
    for read in (
        messages.read_time,
        messages.read_capabilities,
        messages.read_profiles,
        messages.read_uri,
        messages.read_services,
        messages.read_media2_profiles,
    ):
        read(answer)


@given(st.text(max_size=60))
def test_whatever_address_a_camera_tells_leads_to_the_host_we_know(address: str) -> None:
    assert path_of(address).startswith("/")
    assert rehost(address, "192.0.2.7") == "" or rehost(address, "192.0.2.7").startswith(
        ("rtsp://192.0.2.7", "rtsps://192.0.2.7")
    )


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("rtsp://10.0.0.9/live?channel=1", "rtsp://192.0.2.7/live?channel=1"),
        ("rtsp://10.0.0.9:8554/live#x", "rtsp://192.0.2.7:8554/live"),
        ("RTSP://user:pass@10.0.0.9/live", "rtsp://192.0.2.7/live"),
        ("rtsps://h/live", "rtsps://192.0.2.7/live"),
        ("http://10.0.0.9/live", ""),
        ("file:///etc/passwd", ""),
        ("rtsp://h:99999/live", ""),
        ("rtsp://h/a b", ""),
        ("rtsp://h/a\nb", ""),
        ("rtsp:///live", "rtsp://192.0.2.7/live"),
        ("rtsp://:8554/live", "rtsp://192.0.2.7:8554/live"),
        ("rtsp://10.0.0.9:8000:554/live", "rtsp://192.0.2.7:554/live"),
        ("rtsp://[fe80::1]:80:554/live", "rtsp://192.0.2.7:554/live"),
        ("rtsp://a:b@10.0.0.9:80:554/live", "rtsp://192.0.2.7:554/live"),
        ("rtsp://h:/live", "rtsp://192.0.2.7/live"),
        ("rtsp://h:0/live", ""),
        ("rtsp://h:x/live", ""),
        ("rtsp://a@b@h:554/live", "rtsp://192.0.2.7:554/live"),
        ("rtsp://[::1/live", ""),
    ],
)
def test_media_is_taken_from_the_host_we_know(address: str, found: str) -> None:
    assert rehost(address, "192.0.2.7") == found


def test_ipv6_hosts_get_their_brackets() -> None:
    assert rehost("rtsp://h:8554/a", "2001:db8::1") == "rtsp://[2001:db8::1]:8554/a"
    assert rehost("rtsp://h/a", "[2001:db8::1]") == "rtsp://[2001:db8::1]/a"


@pytest.mark.parametrize(
    ("profiles", "main", "sub", "chosen"),
    [
        ([LARGE, SMALL], "", "", ("large", "small")),
        ([SMALL, LARGE, HUGE_HEVC, STILL], "", "", ("large", "small")),
        ([HUGE_HEVC, STILL], "", "", ("hevc", None)),
        ([STILL], "", "", ("still", None)),
        ([LARGE], "", "", ("large", None)),
        ([LARGE, SMALL], "small", "", ("small", None)),
        ([LARGE, SMALL, HUGE_HEVC], "hevc", "large", ("hevc", "large")),
        ([LARGE, SMALL], "gone", "", (None, "small")),
        ([LARGE, SMALL], "", "gone", ("large", None)),
        ([], "", "", (None, None)),
    ],
)
def test_profiles_are_chosen(
    profiles: list[OnvifProfile], main: str, sub: str, chosen: tuple[str | None, str | None]
) -> None:
    large, small = choose_profiles(profiles, main, sub)
    if main == "gone":
        assert large is None
        return
    assert (large and large.token, small and small.token) == chosen


def test_a_profile_that_can_not_be_had_is_not_chosen() -> None:
    small = replace(SMALL, url="rtsp://h/small")
    assert choose_profiles([LARGE, small], "", "") == (small, None)


def test_times_are_read_and_nonsense_is_not() -> None:
    time = {"Hour": 23, "Minute": 59, "Second": 60}
    date = {"Year": 2026, "Month": 12, "Day": 31}
    told = {"UTCDateTime": {"Time": time, "Date": date}}
    assert read_time(told) == datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert read_time({"UTCDateTime": {"Time": time, "Date": {**date, "Month": 13}}}) is None
    assert read_time({"UTCDateTime": None}) is None


def test_a_profile_without_a_picture_is_passed_over() -> None:
    assert read_profiles([{"token": "sound", "VideoEncoderConfiguration": None}]) == []


@pytest.mark.parametrize(
    ("fault", "refused", "time", "lock"),
    [
        (SoapFaultError(["Sender", "NotAuthorized"], "Sender not authorized"), True, False, False),
        (SoapFaultError(["Receiver"], "Authority failure"), True, False, False),
        (SoapFaultError(["Client"], "Invalid username or password"), True, False, False),
        (SoapFaultError(["MessageExpired"], ""), False, True, False),
        (SoapFaultError(["Sender"], "wsu:Created timestamp is too old"), False, True, False),
        (SoapFaultError(["Sender"], "The account is locked for 30 min"), False, False, True),
        (SoapFaultError(["Sender"], "set the clock"), False, True, False),
        (SoapFaultError(["NoProfile"], "no such profile"), False, False, False),
    ],
)
def test_faults_are_told_apart(
    fault: SoapFaultError, *, refused: bool, time: bool, lock: bool
) -> None:
    assert (fault.is_refused_login, fault.is_about_time, fault.is_lock) == (refused, time, lock)


@pytest.mark.parametrize(
    "inner",
    [
        '<p:GetPresetsResponse><q:Preset token="1"><t:Name>A</t:Name></q:Preset>'
        "</p:GetPresetsResponse>",
        '<GetPresetsResponse><Preset token="1"><Name>A</Name></Preset></GetPresetsResponse>',
        '<s:GetPresetsResponse><s:Preset token="1"><s:Name>A</s:Name></s:Preset>'
        "</s:GetPresetsResponse>",
    ],
    ids=["declared nowhere", "none", "another's"],
)
def test_an_answer_of_wrong_prefixes_is_read(book: Book, inner: str) -> None:
    body = f'<s:Envelope xmlns:s="{SOAP_ENVELOPE}"><s:Body>{inner}</s:Body></s:Envelope>'
    answer = book.decode("ptz", "GetPresets", body.encode())
    assert read_presets(answer) == [("1", "A")]


def test_a_fault_of_soap_1_1_is_understood() -> None:
    body = (
        b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault>'
        b"<faultcode>ter:NotAuthorized</faultcode><faultstring>no\n entry</faultstring>"
        b"</e:Fault></e:Body></e:Envelope>"
    )
    with pytest.raises(SoapFaultError, match="no entry") as caught:
        parse(body)
    assert caught.value.is_refused_login


@given(st.binary(max_size=200))
def test_only_errors_of_ours_come_out_of_any_bytes(body: bytes) -> None:
    with pytest.raises((DeviceError, SoapFaultError)):
        parse(body)


@given(st.data())
def test_a_cut_off_answer_is_an_error_or_less(book: Book, data: st.DataObject) -> None:
    whole = (
        b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
        b'<m:GetProfilesResponse xmlns:m="http://www.onvif.org/ver10/media/wsdl">'
        b'<m:Profiles token="a"/><m:Profiles token="b"/></m:GetProfilesResponse>'
        b"</s:Body></s:Envelope>"
    )
    length = data.draw(st.integers(0, len(whole)))
    with suppress(DeviceError):
        book.decode("media", "GetProfiles", whole[:length])


def test_events_of_prefixes_declared_nowhere_are_read(book: Book) -> None:
    body = (
        f'<s:Envelope xmlns:s="{SOAP_ENVELOPE}"><s:Header><wsa:Action>a</wsa:Action></s:Header>'
        "<s:Body>{}</s:Body></s:Envelope>"
    )
    made = (
        "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference><wsa:Address>"
        "http://h/sub?Idx=0</wsa:Address></tev:SubscriptionReference><wsnt:CurrentTime>"
        "2025-09-20T10:27:39Z</wsnt:CurrentTime></tev:CreatePullPointSubscriptionResponse>"
    )
    answer = book.decode("events", "CreatePullPointSubscription", body.format(made).encode())
    assert answer["SubscriptionReference"]["Address"]["_value_1"] == "http://h/sub?Idx=0"
    pulled = (
        "<tev:PullMessagesResponse><wsnt:NotificationMessage><wsnt:Topic>tns1:VideoSource/"
        "MotionAlarm</wsnt:Topic><wsnt:Message><tt:Message><tt:Data><tt:SimpleItem "
        'Name="State" Value="true"/></tt:Data></tt:Message></wsnt:Message>'
        "</wsnt:NotificationMessage></tev:PullMessagesResponse>"
    )
    told = book.decode("pullpoint", "PullMessages", body.format(pulled).encode())
    assert [(notice.kind, is_on) for notice, is_on in read_notices(told)] == [("motion", True)]
