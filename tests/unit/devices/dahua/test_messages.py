"""What is said in Dahua's CGI, read from samples out of its document and from odd firmware."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.devices.dahua import messages
from h5sup.devices.model import DeviceRecord, Motion, Preset, RecordDay, Switch

EIGHT = timedelta(hours=8)
NOW = datetime(2026, 11, 24, 2, 0, 10, tzinfo=UTC)

# As the document has them, or as devices were seen to answer.
INFO = (
    b"appAutoStart=true\r\ndeviceType=31\r\nhardwareVersion=1.00\r\nprocessor=S3LM\r\n"
    b"serialNumber=4M0019DPAZ00001\r\nupdateSerial=DHI-NVR4216-4KS2\r\n"
)
TIME = b"result=2026-11-24 10:02:03\r\n"
RTSP = b"table.RTSP.Enable=true\r\ntable.RTSP.Port=1554\r\ntable.RTSP.RTP.EndPort=40000\r\n"
TITLES = (
    b"table.ChannelTitle[2].Name=Jardin\r\n\r\n"
    b"table.ChannelTitle[0].Name=Porte d'entr\xc3\xa9e\r\n"
    b"table.ChannelTitle[1].Name=\r\ntable.ChannelTitle[1].SerialNo=\r\ngarbage\r\n"
)
STATES = (
    b'{"states":[{"channel":0,"connectionState":"Connected"},'
    b'{"channel":1,"connectionState":"Unconnect"},{"channel":2,"connectionState":"Empty"},'
    b'{"channel":"3","connectionState":"Connected"},{"channel":-1,"connectionState":"x"},7]}'
)
LOSSES = b"channels[0]=0\r\nchannels[1]=3\r\n"
FINDER = b"result=08137\r\n"
FOUND = (
    b"found=2\r\nitems[0].Channel=1\r\nitems[0].Cluster=7861\r\nitems[0].Duration=1800\r\n"
    b"items[0].EndTime=2026-11-24 00:30:00\r\n"
    b"items[0].FilePath=/mnt/dvr/mmc1p2_0/2026.11.24/0/dav/00/test.dav\r\n"
    b"items[0].Flags[0]=Timing\r\nitems[0].Length=320256446\r\n"
    b"items[0].StartTime=2026-11-24 00:00:00\r\nitems[0].Type=dav\r\n"
    b"items[0].VideoStream=Main\r\n"
    b"items[1].Channel=1\r\nitems[1].EndTime=2026-11-24 1:2:3\r\n"
    b"items[1].Events[0]=VideoMotion\r\n"
    b"items[1].Flags[0]=Event\r\nitems[1].StartTime=2026-11-24 1:2:0\r\n"
)
PRESETS = (
    b"presets[0].Index=2\r\npresets[0].Name=Gate\r\npresets[0].Type=0\r\n"
    b"presets[1].Index=1\r\npresets[2].Index=999\r\n"
)
READERS: dict[bytes, Callable[[bytes], object]] = {
    INFO: messages.parse_device_info,
    TIME: lambda body: messages.parse_offset(body, NOW),
    RTSP: messages.parse_rtsp_port,
    TITLES: messages.parse_titles,
    STATES: messages.parse_states,
    LOSSES: messages.parse_losses,
    FINDER: messages.parse_finder,
    FOUND: lambda body: messages.parse_page(body, EIGHT),
    PRESETS: messages.parse_presets,
}
IDS = ["info", "time", "rtsp", "titles", "states", "losses", "finder", "found", "presets"]


def test_who_it_is() -> None:
    assert messages.parse_device_info(INFO) == messages.DeviceInfo(
        "DHI-NVR4216-4KS2", "4M0019DPAZ00001"
    )
    old = b"deviceType=NVR4216\nserialNumber=1\n"
    assert messages.parse_device_info(old).model == "NVR4216"
    assert messages.is_device(INFO)
    for other in (b"result=1\r\n", b"<html>", b"", b"\x00=1"):
        assert not messages.is_device(other)


def test_values_hold_what_stands_behind_the_first_sign() -> None:
    assert messages.parse_lines(b"a.b[0]=c=d \r\n a.b[0]=e\n") == {"a.b[0]": "c=d"}
    for bad in (b"", b"OK\r\n", b"\x00a=1\r\n", b"Error\r\nBad Request!\r\n"):
        with pytest.raises(MediaFormatError):
            messages.parse_lines(bad)
    with pytest.raises(MediaFormatError, match="more than 20000 lines"):
        messages.parse_lines(b"a=1\n" * 20_001)


def test_letters_of_old_firmware_are_read() -> None:
    body = "table.ChannelTitle[0].Name=大门\r\n".encode("gb18030")
    assert messages.parse_titles(body) == {1: "大门"}
    assert messages.parse_titles(b"\xef\xbb\xbf" + TITLES)[2] == "Channel 2"
    assert messages.parse_titles(b"table.ChannelTitle[0].Name=a\x1b[0mb" + b"x" * 500)[1] == (
        "a[0mb" + "x" * 123
    )


def test_titles_are_counted_from_one() -> None:
    assert messages.parse_titles(TITLES) == {1: "Porte d'entrée", 2: "Channel 2", 3: "Jardin"}
    with pytest.raises(MediaFormatError, match="titles"):
        messages.parse_titles(b"table.ChannelTitle[1024].Name=x\r\n")


def test_channels_are_put_together() -> None:
    states = messages.parse_states(STATES)
    assert states == {1: "connected", 2: "unconnect", 3: "empty"}
    channels = messages.build_channels({1: "a", 2: "b", 3: "c", 4: "d"}, states, frozenset())
    assert [(each.number, each.is_online) for each in channels] == [
        (1, True), (2, False), (4, True)
    ]  # fmt: skip
    losses = messages.parse_losses(LOSSES)
    assert losses == {1, 4}
    channels = messages.build_channels({1: "a", 2: "b"}, {}, losses)
    assert [each.is_online for each in channels] == [False, True]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"states":{}}', b"[" * 100_000, b"9" * 10_000, b"\xff"]
)
def test_states_that_cannot_be_read_are_none(body: bytes) -> None:
    assert messages.parse_states(body) == {}


@pytest.mark.parametrize(
    ("shown", "minutes"),
    [
        ("2026-11-24 10:02:03", 480),
        ("2026-11-24 2:0:10", 0),
        ("2026-11-24 07:43:00", 345),  # Kathmandu, 2 min slow
        ("2026-11-23 22:00:10", -240),
    ],
)
def test_the_zone_is_seen_by_the_clock(shown: str, minutes: int) -> None:
    offset = messages.parse_offset(f"result={shown}\r\n".encode(), NOW)
    assert offset == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "body", [b"result=2000-01-01 00:00:00", b"result=2026-13-01 00:00:00", b"result=now", b"a=b"]
)
def test_a_clock_that_makes_no_sense_is_refused(body: bytes) -> None:
    with pytest.raises(MediaFormatError, match=r"clock|time"):
        messages.parse_offset(body, NOW)


def test_the_port_of_rtsp() -> None:
    assert messages.parse_rtsp_port(RTSP) == 1554
    for port in (b"70000", b"0", b"-1", b"x", b""):
        assert messages.parse_rtsp_port(RTSP.replace(b"1554", port)) is None


def test_what_was_found_is_in_the_clock_of_the_device() -> None:
    page = messages.parse_page(FOUND, EIGHT)
    begin = datetime(2026, 11, 23, 16, tzinfo=UTC)
    assert page.matches == 2
    assert page.records == (
        DeviceRecord(begin, begin + timedelta(minutes=30), "schedule"),
        DeviceRecord(
            begin + timedelta(minutes=62), begin + timedelta(minutes=62, seconds=3), "alarm"
        ),
    )
    assert messages.parse_page(b"found=0\r\n", EIGHT) == messages.Page((), 0)


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [
        (b"=dav", b"=jpg", 1),
        (b"=Main", b"=Extra1", 1),
        (b"00:30:00", b"00:00:00", 1),
        (b"2026-11-24 00:00:00", b"0001-01-01 00:00:00", 1),
        (b"2026-11-24 00:00:00", b"yesterday", 1),
        (b"items[1].StartTime", b"items[1].Other", 1),
    ],
)
def test_a_recording_of_no_use_is_left_out(old: bytes, new: bytes, count: int) -> None:
    page = messages.parse_page(FOUND.replace(old, new), EIGHT)
    assert (len(page.records), page.matches) == (count, 2)


@pytest.mark.parametrize(
    ("flag", "trigger"), [(b"Timing", "schedule"), (b"Manual", "manual"), (b"Event", "alarm")]
)
def test_triggers(flag: bytes, trigger: str) -> None:
    page = messages.parse_page(FOUND.replace(b"Timing", flag), EIGHT)
    assert page.records[0].trigger == trigger


def test_a_page_that_tells_less_than_it_announces_is_refused() -> None:
    for body in (FOUND.replace(b"found=2", b"found=3"), FOUND.replace(b"found=2", b"found=x")):
        with pytest.raises(MediaFormatError):
            messages.parse_page(body, EIGHT)


def test_days_are_those_of_the_device() -> None:
    def record(begin: int, end: int, trigger: str = "schedule") -> DeviceRecord:
        """Return one between two hours of November by the device's clock."""
        first = datetime(2026, 11, 1, tzinfo=UTC) - EIGHT
        return DeviceRecord(
            first + timedelta(hours=begin),
            first + timedelta(hours=end),
            trigger,  # type: ignore[arg-type]
        )

    records = [record(-1, 1), record(47, 48, "alarm"), record(30 * 24 - 1, 30 * 24 + 50)]
    assert messages.build_days(records, 2026, 11, EIGHT) == (
        RecordDay(1, has_alarm=False),
        RecordDay(2, has_alarm=True),
        RecordDay(30, has_alarm=False),
    )
    assert messages.build_days([], 2026, 11, EIGHT) == ()
    assert messages.month_span(2028, 2)[1] == datetime(2028, 2, 29, 23, 59, 59)  # noqa: DTZ001


def test_addresses() -> None:
    begin = datetime(2026, 11, 24, 2, tzinfo=UTC)
    assert messages.build_live_path(1, sub=False) == "/cam/realmonitor?channel=1&subtype=0"
    assert messages.build_playback_path(3, begin, begin + timedelta(hours=1), EIGHT) == (
        "/cam/playback?channel=3&starttime=2026_11_24_10_00_00&endtime=2026_11_24_11_00_00"
    )
    far = messages.build_playback_path(
        1, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), -EIGHT
    )
    assert "starttime=1970_01_01_16_00_00&endtime=2199_12_29_16_00_00" in far
    find = messages.build_find("08137", 2, datetime(2026, 11, 1), datetime(2026, 11, 2))  # noqa: DTZ001
    assert find.endswith(
        "?action=findFile&object=08137&condition.Channel=2"
        "&condition.StartTime=2026-11-01%2000:00:00&condition.EndTime=2026-11-02%2000:00:00"
        "&condition.Types[0]=dav"
    )
    assert messages.build_next("7").endswith("?action=findNextFile&object=7&count=100")


def test_the_name_of_a_finder_goes_into_no_address_unseen() -> None:
    assert messages.parse_finder(FINDER) == "08137"
    for bad in (b"result=1&action=x", b"result=", b"result=" + b"1" * 33, b"other=1"):
        with pytest.raises(MediaFormatError, match="finder"):
            messages.parse_finder(bad + b"\r\n")


@pytest.mark.parametrize(
    ("motion", "codes"),
    [
        (Motion(pan=-1), {"head": ("Left", 0, 8)}),
        (Motion(tilt=0.5), {"head": ("Up", 0, 4)}),
        (Motion(pan=0.01, tilt=-9), {"head": ("RightDown", 8, 1)}),
        (Motion(zoom=1, focus=-1), {"zoom": ("ZoomTele", 0, 8), "focus": ("FocusNear", 0, 8)}),
        (Motion(iris=0.2), {"iris": ("IrisLarge", 0, 2)}),
        (Motion(), {}),
    ],
)
def test_motions(motion: Motion, codes: dict[str, tuple[str, int, int]]) -> None:
    assert messages.build_codes(motion) == codes


def test_commands() -> None:
    assert messages.build_ptz("start", 1, "Left", 0, 5) == (
        "/cgi-bin/ptz.cgi?action=start&channel=1&code=Left&arg1=0&arg2=5&arg3=0"
    )
    assert "moveContinuously&channel=2" in messages.build_switch(Switch.WIPER, 2, on=True)
    assert "stopMove&channel=2" in messages.build_switch(Switch.WIPER, 2, on=False)
    assert "code=AuxOff" in messages.build_switch(Switch.LIGHT, 2, on=False)
    assert messages.build_name_preset(1, 2, "a&b=/\n大").endswith(
        "&arg1=2&arg2=a%26b%3D%2F%E5%A4%A7"
    )
    assert messages.is_done(b"OK\r\n")
    assert not messages.is_done(b"Error\r\n")
    assert messages.is_refusal(b"Error\r\nBad Request!\r\n")


def test_places_that_are_set() -> None:
    assert messages.parse_presets(PRESETS) == (Preset("2", "Gate"), Preset("1", "1"))
    assert messages.parse_presets(b"\r\n") == ()
    assert messages.parse_presets(b"OK\r\n") == ()


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (b"Error\r\nUser Locked! Please try again after 20 minutes.\r\n", 1200.0),
        (b"401 Unauthorized (User Locked) remainLockSecond: 600", 600.0),
        (b'{"params":{"remainLockSecond":42}}', 42.0),
        (b"Error\r\nAccount is locked\r\n", 1800.0),
        (b"remainLockSecond=999999", 1800.0),
        (b"Error\r\nInvalid Authority!\r\n", None),
        (b"account is unlocked", None),
        (b"", None),
    ],
)
def test_a_lock_is_recognised(body: bytes, seconds: float | None) -> None:
    assert messages.find_lock(body) == seconds


def test_a_refusal_is_told_with_the_words_of_the_device() -> None:
    assert messages.explain(400, b"Error\r\nBad Request!\r\n") == "it answers 400 (Bad Request!)"
    assert messages.explain(404, b"<h1>Not Found") == "it answers 404"


@pytest.mark.parametrize("sample", READERS, ids=IDS)
def test_every_truncation_is_refused_or_tells_less(sample: bytes) -> None:
    """Lines have no end that could be missed; a page that is cut says by its count that it is."""
    READERS[sample](sample)
    for length in range(len(sample)):
        with contextlib.suppress(MediaFormatError):
            READERS[sample](sample[:length])
    for length in range(FOUND.index(b"items[1]") + 9):
        with pytest.raises(MediaFormatError):
            messages.parse_page(FOUND[:length], EIGHT)


@pytest.mark.parametrize("sample", READERS, ids=IDS)
@given(data=st.data())
def test_other_texts_raise_nothing_else(sample: bytes, data: st.DataObject) -> None:
    """Put anything where a value of the sample stands."""
    pieces = sample.split(b"=") if b"=" in sample else sample.split(b":")
    index = data.draw(st.integers(1, len(pieces) - 1))
    text = data.draw(st.binary(max_size=20) | st.integers().map(lambda n: str(n).encode()))
    pieces[index] = text + b"\r\n" + pieces[index].partition(b"\r\n")[2]
    sign = b"=" if b"=" in sample else b":"
    with contextlib.suppress(MediaFormatError):
        READERS[sample](sign.join(pieces))
