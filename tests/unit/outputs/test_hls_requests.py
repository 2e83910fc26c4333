"""What players of HLS ask for and are answered, over HTTP."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing, suppress
from pathlib import Path

import pytest
from aiohttp import ClientResponse, WSMsgType, WSServerHandshakeError

from h5sup.bus.channel import Channel
from h5sup.formats.isobmff.init_segment import parse_init
from h5sup.outputs.hls import fmp4, keepalive, responses, ts
from h5sup.outputs.hls import holds as holds_module
from tests.fakes.mp4 import build_init
from tests.unit.outputs.hls_fakes import (
    Client,
    FakeLeases,
    Feeder,
    replace_codec,
    serve,
    wait_until,
)
from tests.unit.outputs.hls_rules import attributes, check_successor, parse_media

INDEX = "/hls/v2/cam/hls.m3u8"
MEDIA = "/hls/v2/cam/h264.m3u8"
TS_LIST = "#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:2.000000,\ns1700000000.ts\n"


@pytest.fixture
def short_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fmp4, "HOLD_S", 0.1)
    monkeypatch.setattr(ts, "HOLD_S", 0.1)


def playing(leases: FakeLeases) -> Feeder:
    """Return a source that has a GOP in its cache."""
    feeder = Feeder()
    leases.add(feeder.channel)
    feeder.begin()
    feeder.seconds(1)
    return feeder


async def open_playlist(client: Client, feeder: Feeder) -> ClientResponse:
    """Ask for the media playlist and let the source go on until it comes."""
    asking = asyncio.create_task(client.get(MEDIA))
    await wait_until(lambda: feeder.channel.viewers == 1)
    feeder.seconds(4.04)
    return await asking


async def check_failure(response: ClientResponse, status: int, *words: str) -> None:
    assert response.status == status
    assert response.content_type == "application/json"
    assert "no-store" in response.headers["Cache-Control"]
    body = json.loads(await response.text())
    assert body["bStatus"] is False
    for word in words:
        assert word in body["strCode"]


async def test_the_index_describes_a_source_of_h264() -> None:
    leases = FakeLeases()
    playing(leases)
    async with serve(leases) as (client, _):
        response = await client.get(INDEX)
        assert response.status == 200
        assert response.content_type == "application/vnd.apple.mpegurl"
        assert response.headers["Cache-Control"] == "private, no-cache"
        lines = (await response.text()).splitlines()
    assert lines[-1] == "h264.m3u8"
    described = attributes(lines[-2].partition(":")[2])
    assert described["CODECS"] == "avc1.4D002A"
    assert described["RESOLUTION"] == "640x360"
    assert described["FRAME-RATE"] == "25.000"
    assert int(described["BANDWIDTH"]) >= 64_000
    assert len([line for line in lines if not line.startswith("#")]) == 1


async def test_h265_is_offered_beside_h264_that_is_made_only_when_asked_for() -> None:
    leases = FakeLeases()
    native, derived = Feeder(), Feeder()
    leases.add(native.channel, derived.channel)
    init = parse_init(build_init(audio=True))
    native.channel.begin(replace_codec(init, "hvc1.1.6.L93.90"), "starts")
    async with serve(leases) as (client, _):
        text = await (await client.get(INDEX)).text()
        assert leases.asked == [("cam", True)]  # nothing is transcoded for the list alone
        assert [line for line in text.splitlines() if line[0] != "#"] == [
            "hevc.m3u8",
            "h264.m3u8",
        ]
        assert 'CODECS="hvc1.1.6.L93.90,mp4a.40.2"' in text
        assert 'CODECS="avc1.64001F,mp4a.40.2"' in text
        derived.begin()
        derived.seconds(1)
        asking = asyncio.create_task(client.get(MEDIA))
        await wait_until(lambda: derived.channel.viewers == 1)
        assert leases.asked[-1] == ("cam", False)
        derived.seconds(4)
        assert (await asking).status == 200
        assert native.channel.viewers == 0
        assert 'CODECS="avc1.4D002A"' in await (await client.get(INDEX)).text()


async def test_a_source_of_h264_has_no_variant_of_h265() -> None:
    leases = FakeLeases()
    playing(leases)
    async with serve(leases) as (client, _):
        await check_failure(await client.get("/hls/v2/cam/hevc.m3u8"), 404, "H.265", "h264.m3u8")


async def test_a_playlist_is_held_until_there_is_a_segment() -> None:
    leases = FakeLeases()
    feeder = Feeder()
    leases.add(feeder.channel)
    async with serve(leases) as (client, _):
        asking = asyncio.create_task(client.get(MEDIA))
        await wait_until(lambda: leases.held == 1)
        assert not asking.done()
        feeder.begin()
        await wait_until(lambda: feeder.channel.viewers == 1)
        feeder.seconds(1.96)
        await asyncio.sleep(0)
        assert not asking.done()
        feeder.seconds(0.08)
        response = await asking
        playlist = parse_media(await response.text())
    assert [entry.duration_s for entry in playlist.entries] == [2.0]
    assert response.headers["Cache-Control"] == "private, no-cache"


async def test_a_player_walks_from_the_index_to_the_bytes() -> None:
    leases = FakeLeases()
    feeder = playing(leases)
    async with serve(leases) as (client, _):
        playlist = parse_media(await (await open_playlist(client, feeder)).text())
        entry = playlist.entries[0]
        init = await client.get(f"/hls/v2/cam/{entry.map_uri}")
        assert init.status == 200
        assert init.content_type == "video/mp4"
        assert await init.read() == build_init(audio=False)
        media = await client.get(f"/hls/v2/cam/{entry.uri}")
        assert media.status == 200
        assert media.content_type == "video/iso.segment"
        assert media.headers["Cache-Control"].startswith("private, max-age=")
        body = await media.read()
        assert body[4:8] == b"moof"
        assert media.content_length == len(body)


async def test_old_and_coming_segments_are_not_found() -> None:
    leases = FakeLeases()
    feeder = playing(leases)
    async with serve(leases, segments=3) as (client, _):
        first = parse_media(await (await open_playlist(client, feeder)).text()).entries[0]
        feeder.seconds(40)
        await check_failure(await client.get(f"/hls/v2/cam/{first.uri}"), 404, "gone")
        later = parse_media(await (await client.get(MEDIA)).text())
        coming = f"/hls/v2/cam/h264/s{later.entries[-1].sequence + 1}.m4s"
        await check_failure(await client.get(coming), 404)
        await check_failure(await client.get("/hls/v2/cam/h264/init5.mp4"), 404)
        await check_failure(await client.get("/hls/v2/cam/hevc/s5.m4s"), 404)


async def test_ranges_are_answered_as_the_original_players_ask() -> None:
    leases = FakeLeases()
    feeder = playing(leases)
    async with serve(leases) as (client, _):
        entry = parse_media(await (await open_playlist(client, feeder)).text()).entries[0]
        url = f"/hls/v2/cam/{entry.uri}"
        whole = await (await client.get(url)).read()
        size = len(whole)
        for asked, start, stop in [
            ("bytes=0-", 0, size),
            ("bytes=0-0", 0, 1),
            ("bytes=150-999", 150, 1000),
            ("bytes=-10", size - 10, size),
            (f"bytes=-{size + 5}", 0, size),
            (f"bytes=100-{size + 100}", 100, size),
        ]:
            response = await client.get(url, headers={"Range": asked})
            assert response.status == 206, asked
            assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
            assert await response.read() == whole[start:stop]
        for ignored in ("bytes=1-2,5-6", "bytes=9-3", "lines=1-2", "bytes=-", "bytes=a-"):
            response = await client.get(url, headers={"Range": ignored})
            assert response.status == 200, ignored
            assert await response.read() == whole
        conditional = {"Range": "bytes=5-", "If-Range": '"x"'}
        assert (await client.get(url, headers=conditional)).status == 200
        outside = await client.get(url, headers={"Range": f"bytes={size}-"})
        await check_failure(outside, 416)
        assert outside.headers["Content-Range"] == f"bytes */{size}"
        feeder.seconds(2)
        for playlist in (INDEX, MEDIA):
            text = await (await client.get(playlist)).text()
            ranged = await client.get(playlist, headers={"Range": "bytes=0-"})
            assert ranged.status == 206
            assert await ranged.text() == text


async def test_players_that_ask_with_a_range_are_held_until_they_will_not_run_dry() -> None:
    leases = FakeLeases()
    feeder = playing(leases)
    async with serve(leases) as (client, output):
        asking = asyncio.create_task(client.get(MEDIA, headers={"Range": "bytes=0-"}))
        await wait_until(lambda: output.waiting == 1)
        feeder.seconds(4)
        assert parse_media(await (await client.get(MEDIA)).text()).entries
        assert not asking.done()
        feeder.seconds(1.04)
        response = await asking
        assert response.status == 206
        assert len(parse_media(await response.text()).entries) == 3


async def test_head_tells_the_length_and_sends_nothing() -> None:
    leases = FakeLeases()
    feeder = playing(leases)
    async with serve(leases) as (client, _):
        entry = parse_media(await (await open_playlist(client, feeder)).text()).entries[0]
        for url in (INDEX, MEDIA, f"/hls/v2/cam/{entry.uri}", f"/hls/v2/cam/{entry.map_uri}"):
            whole = await client.get(url)
            assert await whole.read()
            response = await client.head(url)
            assert response.status == 200
            assert response.content_length == whole.content_length
            assert await response.read() == b""


async def test_a_session_in_the_query_goes_along_to_every_address(tmp_path: Path) -> None:
    leases = FakeLeases()
    feeder = playing(leases)
    leases.folder = tmp_path
    (tmp_path / "index.m3u8").write_text(TS_LIST)
    async with serve(leases) as (client, _):
        await open_playlist(client, feeder)
        query = {"session": 'a"b\n#c&d'}
        carried = "?session=a%22b%0A%23c%26d"
        index = await (await client.get(INDEX, params=query)).text()
        assert index.endswith(f"\nh264.m3u8{carried}\n")
        media = parse_media(await (await client.get(MEDIA, params=query)).text())
        assert all(entry.uri.endswith(f".m4s{carried}") for entry in media.entries)
        assert media.entries[0].map_uri.endswith(f".mp4{carried}")
        ts_list = await (await client.get("/hls/v1/cam/hls.m3u8", params=query)).text()
        assert f"\ns1700000000.ts{carried}\n" in ts_list


async def test_an_unknown_source_and_an_odd_address_are_not_found() -> None:
    leases = FakeLeases()
    playing(leases)
    async with serve(leases) as (client, _):
        for version in ("v1/nobody/hls", "v2/nobody/hls", "v2/nobody/h264"):
            await check_failure(await client.get(f"/hls/{version}.m3u8"), 404, "no source")
        for path in (
            "v1/cam/s1.mp4",
            "v1/cam/..%2fs1.ts",
            "v1/cam/sx.ts",
            "v1/cam/s1111111111111111111.ts",
            "v2/cam/av1.m3u8",
            "v2/cam/h264/s-1.m4s",
            "v2/cam/h264/s%D9%A1.m4s",
            "v2/cam/h264/x/s1.m4s",
        ):
            assert (await client.get(f"/hls/{path}")).status == 404, path
        assert (await client.post(MEDIA)).status == 405
        assert leases.held == 0


@pytest.mark.usefixtures("short_hold")
async def test_a_source_without_media_is_unavailable_in_one_sentence(tmp_path: Path) -> None:
    leases = FakeLeases()
    leases.folder = tmp_path
    dead, stuck = Channel("cam", "main", "copy", gop_bytes=1000), Feeder(token="stuck")
    dead.set_state("BACKOFF", "wrong user name or password")
    leases.add(dead)
    leases.add(stuck.channel)
    stuck.begin()
    async with serve(leases) as (client, _):
        waiting = ("/hls/v2/stuck/h264.m3u8", "/hls/v1/stuck/hls.m3u8")
        for path in waiting:
            await check_failure(await client.get(path), 503, "'stuck'", "it is starting")
        held = leases.held
        for path in (INDEX, MEDIA, "/hls/v1/cam/hls.m3u8"):
            response = await client.get(path)
            await check_failure(response, 503, "'cam'", "wrong user name or password")
            assert response.headers["Retry-After"]
        assert leases.held == held


async def test_nothing_runs_once_nobody_asks_any_more() -> None:
    leases = FakeLeases()
    feeder = playing(leases)
    async with serve(leases, idle_s=0.3) as (client, output):
        assert feeder.channel.viewers == 0
        playlist = parse_media(await (await open_playlist(client, feeder)).text())
        await client.get(INDEX)
        assert output.playlists == leases.held == 2
        await wait_until(lambda: output.playlists == 0)
        assert feeder.channel.viewers == 0
        assert leases.held == 0
        gone = f"/hls/v2/cam/{playlist.entries[-1].uri}"
        await check_failure(await client.get(gone), 404)
        feeder.seconds(1)
        again = parse_media(await (await open_playlist(client, feeder)).text())
        check_successor(playlist, again)
        assert again.entries[0].sequence > playlist.entries[-1].sequence


async def test_asking_for_segments_keeps_the_playlist_going() -> None:
    leases = FakeLeases()
    feeder = playing(leases)
    async with serve(leases, idle_s=0.3) as (client, output):
        entry = parse_media(await (await open_playlist(client, feeder)).text()).entries[0]
        until = asyncio.get_running_loop().time() + 0.8
        while asyncio.get_running_loop().time() < until:
            assert (await client.get(f"/hls/v2/cam/{entry.uri}")).status == 200
            await asyncio.sleep(0.05)
        assert output.playlists == 1


async def test_players_share_one_muxer_and_one_lease() -> None:
    leases = FakeLeases()
    feeder = playing(leases)
    async with serve(leases) as (client, _):
        asking = [asyncio.create_task(client.get(MEDIA)) for _ in range(10)]
        await wait_until(lambda: feeder.channel.viewers == 1)
        feeder.seconds(4)
        assert {(await one).status for one in asking} == {200}
        assert feeder.channel.viewers == 1
        assert leases.held == 1


async def test_players_that_come_while_the_source_starts_share_one_lease() -> None:
    leases = FakeLeases()
    feeder = Feeder()
    leases.add(feeder.channel)
    async with serve(leases) as (client, _):
        asking = [asyncio.create_task(client.get(MEDIA)) for _ in range(10)]
        await wait_until(lambda: leases.held == 10)
        feeder.begin()
        await wait_until(lambda: feeder.channel.viewers == 1)
        feeder.seconds(3)
        assert {(await one).status for one in asking} == {200}
        assert leases.held == 1


async def test_a_player_that_leaves_while_it_waits_lets_go_of_the_source() -> None:
    leases = FakeLeases()
    leases.add(Channel("cam", "main", "copy", gop_bytes=1000))
    async with serve(leases) as (client, _):
        asking = asyncio.create_task(client.get(MEDIA))
        await wait_until(lambda: leases.held == 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert leases.held == 0


async def test_a_source_that_was_replaced_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds_module, "RENEW_S", 0.05)
    leases = FakeLeases()
    feeder = playing(leases)
    async with serve(leases) as (client, _):
        before = parse_media(await (await open_playlist(client, feeder)).text())
        feeder.channel.end("the source was changed in config.json")
        # for a moment there is nothing new; players that poll are not turned away
        still = parse_media(await (await client.get(MEDIA)).text())
        check_successor(before, still)
        other = playing(leases)
        after = parse_media(await (await open_playlist(client, other)).text())
        check_successor(before, after)
        assert after.entries[0].discontinuity == before.entries[0].discontinuity + 1
        assert feeder.channel.viewers == 0
        assert leases.held == 1


async def test_a_source_that_was_deleted_is_not_found() -> None:
    leases = FakeLeases()
    feeder = playing(leases)
    async with serve(leases) as (client, _):
        await open_playlist(client, feeder)
        leases.remove("cam")
        feeder.channel.end("the source was deleted")
        await check_failure(await client.get(MEDIA), 404)


async def test_requests_at_once_are_bounded() -> None:
    leases = FakeLeases()
    feeder = Feeder()
    leases.add(feeder.channel)
    async with serve(leases, viewers=3) as (client, _):
        asking = [asyncio.create_task(client.get(MEDIA)) for _ in range(3)]
        await wait_until(lambda: leases.held == 3)
        await check_failure(await client.get(MEDIA), 503, "too many")
        feeder.begin()
        await wait_until(lambda: feeder.channel.viewers == 1)
        feeder.seconds(3)
        assert {(await one).status for one in asking} == {200}


async def test_a_player_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "SEND_TIMEOUT_S", 0.2)
    leases = FakeLeases()
    feeder = playing(leases)
    feeder.picture_bytes = 300_000  # more than both sockets' buffers take
    async with serve(leases) as (client, output):
        entry = parse_media(await (await open_playlist(client, feeder)).text()).entries[-1]
        assert output.size_bytes > 15_000_000
        url = client.make_url(f"/hls/v2/cam/{entry.uri}")
        reader, writer = await asyncio.open_connection(url.host, url.port, limit=1000)
        with closing(writer):
            writer.write(f"GET {url.path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            await wait_until(lambda: output.requests == 1)
            await wait_until(lambda: output.requests == 0)
            received = 0
            with suppress(ConnectionResetError):  # it may come before what was sent is read
                while chunk := await reader.read(65_536):
                    received += len(chunk)
        assert received < 10_000_000


async def test_v1_serves_what_ffmpeg_writes(tmp_path: Path) -> None:
    leases = FakeLeases()
    playing(leases)
    leases.folder = tmp_path
    (tmp_path / "secret.txt").write_text("x")
    async with serve(leases) as (client, _):
        asking = asyncio.create_task(client.get("/hls/v1/cam/hls.m3u8"))
        await wait_until(lambda: leases.held == 1)
        (tmp_path / "index.m3u8").write_text("#EXTM3U\n")  # no segment yet
        await asyncio.sleep(0.15)
        assert not asking.done()
        (tmp_path / "s1700000000.ts").write_bytes(bytes(range(256)) * 8)
        (tmp_path / "index.m3u8").write_text(TS_LIST)
        response = await asking
        assert await response.text() == TS_LIST
        assert response.headers["Cache-Control"] == "private, no-cache"
        assert response.content_type == "application/vnd.apple.mpegurl"
        segment = await client.get("/hls/v1/cam/s1700000000.ts")
        assert segment.content_type == "video/mp2t"
        assert segment.headers["Cache-Control"].startswith("private, max-age=")
        assert len(await segment.read()) == 2048
        ranged = await client.get("/hls/v1/cam/s1700000000.ts", headers={"Range": "bytes=0-"})
        assert ranged.status == 206
        assert ranged.headers["Content-Range"] == "bytes 0-2047/2048"
        head = await client.head("/hls/v1/cam/s1700000000.ts")
        assert head.content_length == 2048
        await check_failure(await client.get("/hls/v1/cam/s1699999999.ts"), 404, "gone")
        assert (await client.get("/hls/v1/cam/secret.txt")).status == 404


async def test_v1_can_be_switched_off(tmp_path: Path) -> None:
    leases = FakeLeases()
    playing(leases)
    leases.folder = tmp_path
    async with serve(leases, ts=False) as (client, _):
        await check_failure(await client.get("/hls/v1/cam/hls.m3u8"), 404, "hls.ts", "v2")
        assert leases.asked == []


async def test_the_keepalive_socket_keeps_a_source_and_its_playlists_going() -> None:
    leases = FakeLeases()
    feeder = playing(leases)
    async with serve(leases, idle_s=0.1) as (client, output):
        socket = await client.ws_connect("/api/v1/h5swscmnapi?token=cam&session=s")
        assert leases.asked == [("cam", True)]
        await open_playlist(client, feeder)
        await socket.send_str('{"type":"keepalive"}')
        await asyncio.sleep(0.4)
        assert output.playlists == 1
        assert leases.held == 2
        await socket.close()
        await wait_until(lambda: leases.held == 0)
        assert output.playlists == output.connections == 0


async def test_the_keepalive_socket_takes_garbage() -> None:
    leases = FakeLeases()
    playing(leases)
    async with serve(leases) as (client, output):
        socket = await client.ws_connect("/api/v1/h5swscmnapi?token=cam")
        for text in ("keepalive", "{", '{"type":7}', "\0", ""):
            await socket.send_str(text)
        await socket.send_bytes(b"\xff\x00")
        await socket.ping()
        await asyncio.sleep(0.05)
        assert output.connections == 1
        await socket.send_str("x" * (keepalive.MAX_MESSAGE_BYTES + 1))
        assert (await socket.receive()).type is WSMsgType.CLOSE
        assert socket.close_code == 1009
        await wait_until(lambda: output.connections == leases.held == 0)


async def test_the_keepalive_socket_ends_a_flood() -> None:
    leases = FakeLeases()
    playing(leases)
    async with serve(leases) as (client, output):
        socket = await client.ws_connect("/api/v1/h5swscmnapi?token=cam")
        with suppress(ConnectionResetError):
            for _ in range(40 * keepalive.MAX_MESSAGES_PER_S):
                await socket.send_str("{}")
        assert (await socket.receive()).type is WSMsgType.CLOSE
        assert socket.close_code == 1008
        await wait_until(lambda: output.connections == leases.held == 0)


async def test_keepalive_sockets_are_bounded() -> None:
    leases = FakeLeases()
    playing(leases)
    async with serve(leases, viewers=2) as (client, output):
        url = "/api/v1/h5swscmnapi?token=cam"
        sockets = [await client.ws_connect(url) for _ in range(2)]
        with pytest.raises(WSServerHandshakeError):
            await client.ws_connect(url)
        assert output.connections == leases.held == 2
        for socket in sockets:
            await socket.close()
        await wait_until(lambda: output.connections == leases.held == 0)


async def test_keepalive_sockets_are_closed_when_the_server_stops() -> None:
    leases = FakeLeases()
    playing(leases)
    async with serve(leases) as (client, output):
        socket = await client.ws_connect("/api/v1/h5swscmnapi?token=cam")
        closing = asyncio.create_task(output.close())
        assert (await socket.receive()).type is WSMsgType.CLOSE
        assert socket.close_code == 1001
        await closing
        await wait_until(lambda: leases.held == 0)
