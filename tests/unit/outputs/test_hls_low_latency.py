"""What players of Low-Latency HLS ask for and are answered, over HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientResponse

from h5sup.formats.isobmff.init_segment import parse_init
from h5sup.outputs.hls import fmp4
from h5sup.outputs.hls import holds as holds_module
from h5sup.outputs.hls.output import HlsOutput
from h5sup.outputs.hls.responses import Text
from tests.fakes.mp4 import build_init
from tests.unit.outputs.hls_fakes import (
    Client,
    FakeLeases,
    Feeder,
    replace_codec,
    serve,
    wait_until,
)
from tests.unit.outputs.hls_rules import Playlist, check_successor, parse_media
from tests.unit.outputs.hls_walker import Walker

MEDIA = "/hls/v2/cam/h264.m3u8"


async def open_playlist(client: Client, feeder: Feeder, path: str = MEDIA) -> Playlist:
    """Ask for a media playlist and let the source go on until it comes."""
    asking = asyncio.create_task(client.get(path))
    await wait_until(lambda: feeder.channel.viewers == 1)
    feeder.seconds(2.64)
    return parse_media(await (await asking).text())


@asynccontextmanager
async def playing(
    *, viewers: int = 100, segments: int = 4
) -> AsyncIterator[tuple[Client, HlsOutput, Feeder, Playlist]]:
    """Serve a source whose playlist has been asked for."""
    leases = FakeLeases()
    feeder = Feeder()
    leases.add(feeder.channel)
    feeder.begin()
    feeder.seconds(1)
    async with serve(leases, viewers=viewers, segments=segments) as (client, output):
        yield client, output, feeder, await open_playlist(client, feeder)


def next_of(playlist: Playlist) -> dict[str, str]:
    sequence, part = playlist.newest
    return {"_HLS_msn": str(sequence), "_HLS_part": str(part + 1)}


async def check_failure(response: ClientResponse, status: int, *words: str) -> None:
    assert response.status == status
    reason = json.loads(await response.text())["strCode"]
    assert "\n" not in reason
    for word in words:
        assert word in reason


async def test_a_reload_is_held_until_its_part_and_no_longer() -> None:
    async with playing() as (client, output, feeder, playlist):
        asking = asyncio.create_task(client.get(MEDIA, params=next_of(playlist)))
        await wait_until(lambda: output.waiting == 1)
        before = feeder.channel.rates.fragments
        while output.waiting:
            feeder.picture()
            await asyncio.sleep(0)
        assert feeder.channel.rates.fragments - before <= 5  # pictures of one part
        after = parse_media(await (await asking).text())
        check_successor(playlist, after)
        assert after.newest == (playlist.newest[0], playlist.newest[1] + 1)


async def test_a_reload_of_what_is_there_is_not_held() -> None:
    async with playing() as (client, _, _, playlist):
        sequence, part = playlist.newest
        last = playlist.entries[-1].sequence
        for query in (
            {"_HLS_msn": str(last)},
            {"_HLS_msn": "0"},
            {"_HLS_msn": "0", "_HLS_part": "7"},
            {"_HLS_msn": str(sequence), "_HLS_part": str(part)},
            {"_HLS_msn": str(last), "_HLS_part": "99"},  # means the first of the next segment
        ):
            async with asyncio.timeout(2):
                assert (await client.get(MEDIA, params=query)).status == 200


async def test_a_reload_of_a_whole_segment_is_held_until_it_is_whole() -> None:
    async with playing() as (client, output, feeder, playlist):
        sequence = playlist.newest[0]
        asking = asyncio.create_task(client.get(MEDIA, params={"_HLS_msn": str(sequence)}))
        await wait_until(lambda: output.waiting == 1)
        feeder.seconds(0.2)
        await wait_until(lambda: output.waiting == 1)
        assert not asking.done()
        feeder.seconds(1)
        after = parse_media(await (await asking).text())
        assert after.entries[-1].sequence == sequence


async def test_a_part_behind_the_last_of_its_segment_means_the_first_of_the_next() -> None:
    async with playing() as (client, output, feeder, playlist):
        sequence = playlist.newest[0]
        query = {"_HLS_msn": str(sequence), "_HLS_part": "10"}
        asking = asyncio.create_task(client.get(MEDIA, params=query))
        await wait_until(lambda: output.waiting == 1)
        feeder.seconds(0.4)  # the segment is whole, the next one has no part yet
        await wait_until(lambda: output.waiting == 1)
        assert not asking.done()
        feeder.seconds(0.16)
        after = parse_media(await (await asking).text())
        assert after.newest == (sequence + 1, 0)


async def test_the_part_that_was_hinted_at_is_sent_once_it_is_there() -> None:
    async with playing() as (client, output, feeder, playlist):
        asking = asyncio.create_task(client.get(f"/hls/v2/cam/{playlist.hint}"))
        await wait_until(lambda: output.waiting == 1)
        published = [feeder.channel.gop[-1]]  # came after the last part was complete
        while output.waiting:
            published.append(feeder.picture())
            await asyncio.sleep(0)
        response = await asking
        assert response.status == 200
        assert response.content_type == "video/iso.segment"
        body = await response.read()
        assert len(published) == 5
        assert body == b"".join(one.data for one in published)
        again = await client.get(f"/hls/v2/cam/{playlist.hint}", headers={"Range": "bytes=0-99"})
        assert again.status == 206
        assert await again.read() == body[:100]


async def test_other_parts_that_are_not_there_are_not_found() -> None:
    async with playing() as (client, _, feeder, playlist):
        hinted = int(playlist.hint[6:-4])
        for number in (hinted + 1, hinted - 1000, 0, 10**14):
            await check_failure(await client.get(f"/hls/v2/cam/h264/p{number}.m4s"), 404, "gone")
        feeder.seconds(40)
        await check_failure(await client.get(f"/hls/v2/cam/h264/p{hinted}.m4s"), 404)


@pytest.mark.parametrize(
    "query",
    ["_HLS_msn=-1", "_HLS_msn=1e99", "_HLS_msn=1234567890123456", "_HLS_msn=abc", "_HLS_msn=",
     "_HLS_msn=1.5", "_HLS_msn=%D9%A1", "_HLS_msn=1%0A", "_HLS_part=3", "_HLS_part=-1",
     "_HLS_msn=1&_HLS_part=x", "_HLS_msn=1&_HLS_part=-1", "_HLS_msn=1&_HLS_part=1e9"],
)  # fmt: skip
async def test_what_is_no_number_is_refused(query: str) -> None:
    async with playing() as (client, output, _, _):
        async with asyncio.timeout(2):
            response = await client.get(f"{MEDIA}?{query}")
        await check_failure(response, 400, "_HLS_")
        assert output.waiting == 0


async def test_what_will_not_come_soon_is_refused() -> None:
    async with playing() as (client, output, _, playlist):
        sequence, part = playlist.newest
        last = playlist.entries[-1].sequence
        for query in (
            {"_HLS_msn": str(last + 3)},
            {"_HLS_msn": str(last + 3), "_HLS_part": "0"},
            {"_HLS_msn": "999999999999999"},
            {"_HLS_msn": str(sequence), "_HLS_part": str(part + 20)},
            {"_HLS_msn": str(sequence), "_HLS_part": "999999999999999"},
        ):
            async with asyncio.timeout(2):
                await check_failure(await client.get(MEDIA, params=query), 400, "_HLS_msn")
        allowed = asyncio.create_task(client.get(MEDIA, params={"_HLS_msn": str(last + 2)}))
        await wait_until(lambda: output.waiting == 1)
        allowed.cancel()
        await asyncio.gather(allowed, return_exceptions=True)


async def test_unknown_directives_are_ignored() -> None:
    async with playing() as (client, _, _, _):
        response = await client.get(f"{MEDIA}?_HLS_skip=NO&_HLS_push=1&_HLS_report=/x")
        assert response.status == 200


async def test_a_source_that_stands_still_is_unavailable_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fmp4, "TARGETS_WAITED", 0.05)
    async with playing() as (client, output, _, playlist):
        await check_failure(await client.get(MEDIA, params=next_of(playlist)), 503, "'cam'")
        await check_failure(await client.get(f"/hls/v2/cam/{playlist.hint}"), 404)
        assert output.waiting == 0


async def test_whoever_waits_is_answered_when_the_playlist_ends() -> None:
    async with playing() as (client, output, _, playlist):
        asking = [
            asyncio.create_task(client.get(MEDIA, params=next_of(playlist))),
            asyncio.create_task(client.get(f"/hls/v2/cam/{playlist.hint}")),
        ]
        await wait_until(lambda: output.waiting == 2)
        await output.close()
        async with asyncio.timeout(2):
            assert [(await one).status for one in asking] == [503, 404]


async def test_requests_that_wait_are_bounded() -> None:
    async with playing(viewers=4) as (client, output, feeder, playlist):
        hint = f"/hls/v2/cam/{playlist.hint}"
        asking = [asyncio.create_task(client.get(MEDIA, params=next_of(playlist)))]
        asking += [asyncio.create_task(client.get(hint)) for _ in range(3)]
        await wait_until(lambda: output.waiting == 4)
        await check_failure(await client.get(hint), 503, "too many")
        await check_failure(await client.get(MEDIA), 503, "too many")
        feeder.seconds(0.2)
        assert [(await one).status for one in asking] == [200] * 4
        assert output.requests == output.waiting == 0


async def test_a_player_that_leaves_while_it_waits_leaves_nothing_behind() -> None:
    async with playing() as (client, output, _, playlist):
        asking = asyncio.create_task(client.get(MEDIA, params=next_of(playlist)))
        await wait_until(lambda: output.waiting == 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await wait_until(lambda: output.requests == output.waiting == 0)


async def test_playlists_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds_module, "PLAYLISTS", 2)
    leases = FakeLeases()
    feeders = [Feeder(token=f"cam{number}") for number in range(3)]
    for feeder in feeders:
        leases.add(feeder.channel)
        feeder.begin()
        feeder.seconds(1)
    async with serve(leases) as (client, output):
        for number in range(2):
            assert (await client.get(f"/hls/v2/cam{number}/hls.m3u8")).status == 200
        await check_failure(await client.get("/hls/v2/cam2/hls.m3u8"), 503, "2 playlists")
        assert (await client.get("/hls/v2/cam1/hls.m3u8")).status == 200
        assert output.playlists == leases.held == 2


async def test_a_playlist_is_compressed_for_those_who_take_it() -> None:
    async with playing() as (client, _, _, _):
        plain = await client.get(MEDIA, headers={"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers
        assert plain.headers["Vary"] == "Accept-Encoding"
        text = await plain.read()
        for accepted in ("gzip", "deflate, GZIP;q=0.5", "br;q=1.0, *;q=0.1"):
            zipped = await client.get(MEDIA, headers={"Accept-Encoding": accepted})
            assert zipped.headers["Content-Encoding"] == "gzip"
            assert (zipped.content_length or 0) < len(text) / 2
            assert await zipped.read() == text
        for refused in ("gzip;q=0", "gzip; q=0.000, deflate", "br", ""):
            answer = await client.get(MEDIA, headers={"Accept-Encoding": refused})
            assert "Content-Encoding" not in answer.headers
        ranged = {"Accept-Encoding": "gzip", "Range": "bytes=0-"}
        answer = await client.get(MEDIA, headers=ranged)
        assert answer.status == 206
        assert "Content-Encoding" not in answer.headers
        index = await client.get("/hls/v2/cam/hls.m3u8", headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in index.headers  # it fits into a packet as it is


def test_what_is_compressed_is_the_same_for_all_who_ask() -> None:
    text = Text("#EXTM3U\n" * 500)
    assert gzip.decompress(text.zipped) == text.plain
    assert Text("#EXTM3U\n" * 500).zipped == text.zipped


async def test_a_session_in_the_query_goes_along_to_parts_and_reports() -> None:
    async with playing() as (client, _, _, _):
        response = await client.get(MEDIA, params={"session": "a&b", "_HLS_skip": "YES"})
        playlist = parse_media(await response.text())
        carried = "?session=a%26b"
        assert playlist.hint.endswith(carried)
        parts = [part for entry in playlist.all for part in entry.parts]
        assert parts
        assert all(part.uri.endswith(carried) for part in parts)


async def test_each_of_two_variants_tells_how_far_the_other_is() -> None:
    leases = FakeLeases()
    native, derived = Feeder(), Feeder()
    leases.add(native.channel, derived.channel)
    native.begin()
    native.channel.init = replace_codec(parse_init(build_init(audio=False)), "hvc1.1.6.L93.90")
    derived.begin()
    async with serve(leases) as (client, output):
        hevc = await open_playlist(client, native, "/hls/v2/cam/hevc.m3u8")
        assert hevc.reports == {}
        h264 = await open_playlist(client, derived)
        assert h264.reports == {"hevc.m3u8": hevc.newest}
        native.seconds(0.2)
        text = await (await client.get("/hls/v2/cam/hevc.m3u8?session=s")).text()
        assert parse_media(text).reports == {"h264.m3u8?session=s": h264.newest}
        assert output.playlists == 2


async def test_telling_of_the_other_variant_does_not_keep_it_going() -> None:
    leases = FakeLeases()
    native, derived = Feeder(), Feeder()
    leases.add(native.channel, derived.channel)
    native.begin()
    native.channel.init = replace_codec(parse_init(build_init(audio=False)), "hvc1.1.6.L93.90")
    derived.begin()
    async with serve(leases, idle_s=0.3) as (client, output):
        await open_playlist(client, derived)
        await open_playlist(client, native, "/hls/v2/cam/hevc.m3u8")
        async with asyncio.timeout(5):
            while output.playlists == 2:
                assert (await client.get("/hls/v2/cam/hevc.m3u8")).status == 200
                await asyncio.sleep(0.02)
        assert derived.channel.viewers == 0


@pytest.mark.parametrize("segments", [4, 12])
async def test_a_walk_at_the_edge_keeps_the_rules_part_by_part(segments: int) -> None:
    async with playing(segments=segments) as (client, output, feeder, _):
        walker = Walker(client, at_edge=True)
        await walker.reload()
        while len(walker.walked) < segments + 10:
            reloading = asyncio.create_task(walker.reload())
            await wait_until(lambda task=reloading: output.waiting == 1 or task.done())  # type: ignore[misc]
            while output.waiting:
                feeder.picture()
                await asyncio.sleep(0)
            await reloading
        assert walker.punctual == walker.reloads > 90
        assert walker.playlist is not None
        assert (walker.playlist.skipped > 0) is (segments == 12)


async def test_a_plain_player_walks_the_same_playlist() -> None:
    async with playing() as (client, _, feeder, _):
        walker = Walker(client)
        for _ in range(40):
            await walker.reload()
            feeder.seconds(0.52)
        assert len(walker.walked) > 9
