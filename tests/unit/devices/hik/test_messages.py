"""What is said in ISAPI, read from samples out of Hikvision's guide and from odd firmware."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.devices.hik import messages
from h5sup.devices.hik.zone import Zone
from h5sup.devices.model import DeviceRecord, Preset, RecordDay, Switch
from h5sup.formats.xml import parse_xml

SHANGHAI = Zone(timedelta(hours=8))
HEAD = b'<?xml version="1.0" encoding="UTF-8" ?>\n'
XMLNS = b'version="2.0" xmlns="http://www.isapi.org/ver20/XMLSchema"'

# As the guide has them (4.4.3.1, 4.4.3.2), shortened.
CALENDAR = (
    HEAD + b"<trackDailyDistribution " + XMLNS + b"><dayList>"
    b"<day><id>1</id><dayOfMonth>1</dayOfMonth><record>true</record>"
    b"<recordType>time</recordType></day>"
    b"<day><id>14</id><dayOfMonth>14</dayOfMonth><record>false</record></day>"
    b"<day><id>18</id><dayOfMonth>18</dayOfMonth><record>true</record>"
    b"<recordType>event</recordType></day>"
    b"<day><id>40</id><dayOfMonth>40</dayOfMonth><record>true</record></day>"
    b"</dayList></trackDailyDistribution>"
)
FOUND = (
    HEAD + b"<CMSearchResult " + XMLNS + b">"
    b"<searchID>{88c2cd4d-d3fa-4ad4-bd80-555c18205dcc}</searchID>"
    b"<responseStatus>true</responseStatus><responseStatusStrg>OK</responseStatusStrg>"
    b"<numOfMatches>1</numOfMatches><matchList><searchMatchItem>"
    b"<sourceID>{00000000-0000-0000-0000-000000000000}</sourceID><trackID>101</trackID>"
    b"<timeSpan><startTime>2021-08-18T15:18:15Z</startTime>"
    b"<endTime>2021-08-18T15:19:08Z</endTime></timeSpan><mediaSegmentDescriptor>"
    b"<contentType>video</contentType><codecType>H.264-BP</codecType>"
    b"<playbackURI>rtsp://10.14.97.40/Streaming/tracks/101/?starttime=20210818T151815Z"
    b"&amp;endtime=20210818T151908Z&amp;name=00000004667000100&amp;size=1400788</playbackURI>"
    b"<lockStatus>unlock</lockStatus><name>00000004667000100</name></mediaSegmentDescriptor>"
    b"<metadataMatches><metadataDescriptor>recordType.meta..com/timing</metadataDescriptor>"
    b"</metadataMatches></searchMatchItem></matchList></CMSearchResult>"
)
INFO = (
    HEAD + b'<DeviceInfo version="2.0" xmlns="http://www.hikvision.com/ver20/XMLSchema">'
    b"<deviceName>NVR\x7f</deviceName><model>DS-7616NI-K2</model>"
    b"<serialNumber>DS-7616NI-K20001</serialNumber><firmwareVersion>V4.30.005</firmwareVersion>"
    b"<deviceType>NVR</deviceType></DeviceInfo>"
)
TIME = (
    HEAD + b"<Time " + XMLNS + b"><timeMode>NTP</timeMode>"
    b"<localTime>2024-05-01T12:34:56+08:00</localTime><timeZone>CST-8:00:00</timeZone></Time>"
)
LOCKED = (
    HEAD + b"<userCheck " + XMLNS + b"><statusValue>401</statusValue>"
    b"<statusString>Unauthorized</statusString><lockStatus>lock</lockStatus>"
    b"<unlockTime>1791</unlockTime><retryLoginTime>0</retryLoginTime></userCheck>"
)
IP_CHANNELS = (
    HEAD + b"<InputProxyChannelList " + XMLNS + b"><InputProxyChannel><id>1</id>"
    b"<name>Camera 01</name></InputProxyChannel></InputProxyChannelList>"
)
WIRED = (
    b"<VideoInputChannelList><VideoInputChannel><id>1</id><name>Hall</name>"
    b"<resDesc>NO VIDEO</resDesc></VideoInputChannel></VideoInputChannelList>"
)
SENT = (
    b"<StreamingChannelList><StreamingChannel><id>101</id><channelName>Lobby</channelName>"
    b"</StreamingChannel><StreamingChannel><id>7</id></StreamingChannel>"
    b"<StreamingChannel><id>x</id></StreamingChannel></StreamingChannelList>"
)
PRESETS = (
    b"<PTZPresetList><PTZPreset><enabled>true</enabled><id>1</id><presetName>Gate</presetName>"
    b"</PTZPreset><PTZPreset><enabled>false</enabled><id>2</id></PTZPreset>"
    b"<PTZPreset><id>3</id></PTZPreset><PTZPreset><id>999</id></PTZPreset></PTZPresetList>"
)
PORTS = (
    b"<AdminAccessProtocolList><AdminAccessProtocol><protocol>HTTP</protocol><portNo>80</portNo>"
    b"</AdminAccessProtocol><AdminAccessProtocol><protocol>rtsp</protocol><portNo>1554</portNo>"
    b"</AdminAccessProtocol></AdminAccessProtocolList>"
)
READERS: dict[bytes, Callable[[bytes], object]] = {
    CALENDAR: messages.parse_calendar,
    FOUND: lambda body: messages.parse_search(body, SHANGHAI),
    INFO: messages.parse_device_info,
    TIME: messages.parse_time_zone,
    IP_CHANNELS: lambda body: messages.parse_ip_channels(body, {}),
    WIRED: messages.parse_analog_channels,
    SENT: messages.parse_streaming_channels,
    PRESETS: messages.parse_presets,
    PORTS: messages.parse_rtsp_port,
}


def test_a_month_is_read() -> None:
    assert messages.parse_calendar(CALENDAR) == (
        RecordDay(1, has_alarm=False),
        RecordDay(18, has_alarm=True),
    )


@pytest.mark.parametrize(
    ("kind", "has_alarm"),
    [(b"timing", False), (b"timing,manual", False), (b"timing,motion", True), (b"event", True)],
)
def test_a_day_has_an_alarm_if_something_has_begun_a_recording(
    kind: bytes, *, has_alarm: bool
) -> None:
    body = (
        b"<trackDailyDistribution><dayList><day><dayOfMonth>3</dayOfMonth><record>true</record>"
        b"<recordType>" + kind + b"</recordType></day></dayList></trackDailyDistribution>"
    )
    assert messages.parse_calendar(body) == (RecordDay(3, has_alarm=has_alarm),)


def test_what_was_found_is_in_the_clock_of_the_device() -> None:
    page = messages.parse_search(FOUND, SHANGHAI)
    begin = datetime(2021, 8, 18, 7, 18, 15, tzinfo=UTC)
    assert page.records == (DeviceRecord(begin, begin + timedelta(seconds=53), "schedule"),)
    assert (page.matches, page.is_last) == (1, True)
    with_offset = FOUND.replace(b"15Z<", b"15+02:00<").replace(b"08Z<", b"08-0330<")
    (record,) = messages.parse_search(with_offset, SHANGHAI).records
    assert record.begin == datetime(2021, 8, 18, 13, 18, 15, tzinfo=UTC)
    assert record.end == datetime(2021, 8, 18, 18, 49, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "time",
    [b"", b"yesterday", b"2021-13-18T15:19:08Z", b"2021-08-18T15:18:15Z", b"0001-01-01T00:00:00Z"],
)
def test_a_recording_of_no_sensible_time_is_left_out(time: bytes) -> None:
    body = FOUND.replace(b"2021-08-18T15:19:08Z", time)
    page = messages.parse_search(body, SHANGHAI)
    assert (page.records, page.matches) == ((), 1)


@pytest.mark.parametrize(
    ("said", "trigger"),
    [("timing", "schedule"), ("motion", "alarm"), ("manual", "manual"), ("alarm", "alarm"),
     ("", "schedule"), ("lineDetection", "alarm"), ("ALLTIME", "schedule")],
)  # fmt: skip
def test_triggers(said: str, trigger: str) -> None:
    body = FOUND.replace(b"com/timing", b"com/" + said.encode())
    assert messages.parse_search(body, SHANGHAI).records[0].trigger == trigger


def test_more_follows_unless_there_is_nothing() -> None:
    more = FOUND.replace(b">OK<", b">MORE<")
    assert not messages.parse_search(more, SHANGHAI).is_last
    empty = b"<CMSearchResult><responseStatusStrg>MORE</responseStatusStrg></CMSearchResult>"
    assert messages.parse_search(empty, SHANGHAI).is_last


def test_who_it_is() -> None:
    info = messages.parse_device_info(INFO)
    assert (info.name, info.model, info.kind) == ("NVR", "DS-7616NI-K2", "NVR")
    assert (info.serial, info.firmware) == ("DS-7616NI-K20001", "V4.30.005")


@pytest.mark.parametrize(
    ("body", "is_one"),
    [(INFO, True), (b"<ResponseStatus/>", True), (b"<html></html>", False), (b"ok", False)],
)
def test_devices_are_recognised(body: bytes, is_one: bool) -> None:
    assert messages.is_device(body) is is_one


def test_the_zone_is_that_of_the_clock() -> None:
    assert messages.parse_time_zone(TIME) == SHANGHAI
    old = TIME.replace(b"<timeZone>CST-8:00:00</timeZone>", b"")
    assert messages.parse_time_zone(old) == SHANGHAI
    west = old.replace(b"+08:00", b"-05:30")
    assert messages.parse_time_zone(west) == Zone(-timedelta(hours=5, minutes=30))
    for nothing in (b"Z", b""):
        with pytest.raises(MediaFormatError, match="zone"):
            messages.parse_time_zone(old.replace(b"+08:00", nothing))


def test_the_port_of_rtsp() -> None:
    assert messages.parse_rtsp_port(PORTS) == 1554
    assert messages.parse_rtsp_port(PORTS.replace(b"1554", b"70000")) is None
    assert messages.parse_rtsp_port(PORTS.replace(b"rtsp", b"ftp")) is None


def test_a_state_that_cannot_be_read_hides_no_channel() -> None:
    for status in (b"<broken", b"<Other/>", b"<InputProxyChannelStatusList/>"):
        (channel,) = messages.parse_ip_channels(IP_CHANNELS, messages.parse_online(status))
        assert channel.is_online


def test_a_state_beside_the_address_is_read_too() -> None:
    status = (
        b"<InputProxyChannelStatusList><InputProxyChannelStatus><id>3</id>"
        b"<sourceInputPortDescriptor><online>false</online></sourceInputPortDescriptor>"
        b"</InputProxyChannelStatus></InputProxyChannelStatusList>"
    )
    assert messages.parse_online(status) == {3: False}


def test_places_that_are_not_set_are_left_out() -> None:
    assert messages.parse_presets(PRESETS) == (Preset("1", "Gate"), Preset("3", "3"))


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (LOCKED, 1791.0),
        (LOCKED.replace(b">lock<", b">unlock<"), None),
        (LOCKED.replace(b"1791", b"999999999"), 1800.0),
        (b"<ResponseStatus><subStatusCode>userLocked</subStatusCode></ResponseStatus>", 1800.0),
        (b"<ResponseStatus><subStatusCode>notSupport</subStatusCode></ResponseStatus>", None),
        (b"<html><br>Unauthorized", None),
        (b"", None),
    ],
)
def test_a_lock_is_recognised(body: bytes, seconds: float | None) -> None:
    assert messages.find_lock(body) == seconds


def test_a_refusal_is_told_with_the_words_of_the_device() -> None:
    said = b"<ResponseStatus><statusString>No</statusString></ResponseStatus>"
    assert messages.explain(403, said) == "it answers 403 (No)"
    assert messages.explain(599, b"<html>") == "it answers 599"


def test_questions_are_xml_with_what_they_ask() -> None:
    begin = datetime(2026, 11, 23, 16, tzinfo=UTC)
    search = parse_xml(messages.build_search("AB", 12, begin, begin, SHANGHAI, 80))
    assert search.text_of("trackList/trackID") == "1201"
    assert search.text_of("timeSpanList/timeSpan/startTime") == "2026-11-24T00:00:00Z"
    assert search.text_of("searchResultPostion") == "80"
    month = parse_xml(messages.build_calendar(2026, 2))
    assert (month.text_of("year"), month.text_of("monthOfYear")) == ("2026", "2")
    assert messages.build_calendar_path(3).endswith("/tracks/301/dailyDistribution")
    motion = parse_xml(messages.build_motion(-2, 0.333, 0))
    assert [child.text for child in motion.children] == ["-100", "33", "0"]
    assert parse_xml(messages.build_focus(1)).text_of("focus") == "100"
    assert parse_xml(messages.build_iris(-1)).text_of("iris") == "-100"
    light = parse_xml(messages.build_switch(Switch.LIGHT, on=True))
    assert (light.text_of("type"), light.text_of("status")) == ("LIGHT", "on")
    preset = parse_xml(messages.build_preset(2, "<x>&\x00"))
    assert preset.text_of("presetName") == "<x>&"


@pytest.mark.parametrize("sample", READERS, ids=[sample[40:70].decode() for sample in READERS])
def test_every_truncation_is_refused(sample: bytes) -> None:
    READERS[sample](sample)
    for length in range(len(sample)):
        with pytest.raises(MediaFormatError):
            READERS[sample](sample[:length])


@pytest.mark.parametrize("sample", READERS, ids=[sample[40:70].decode() for sample in READERS])
@settings(max_examples=30)
@given(data=st.data())
def test_other_texts_raise_nothing_else(sample: bytes, data: st.DataObject) -> None:
    """Put anything where a text of the sample stands."""
    pieces = sample.decode().split(">")
    index = data.draw(st.integers(1, len(pieces) - 2))
    text = data.draw(st.text(max_size=20) | st.integers().map(str))
    pieces[index] = f"{text}<{pieces[index].partition('<')[2]}"
    with contextlib.suppress(MediaFormatError):
        READERS[sample](">".join(pieces).encode(errors="ignore"))
