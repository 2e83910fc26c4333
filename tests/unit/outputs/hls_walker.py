"""A player without a screen: reloads a live playlist and checks all it is given."""

from __future__ import annotations

import asyncio

from aiohttp import ClientResponse

from tests.unit.outputs.hls_fakes import Client
from tests.unit.outputs.hls_rules import (
    Entry,
    MediaCheck,
    PartEntry,
    Playlist,
    check_successor,
    parse_media,
)

WORTH_ZIPPING_BYTES = 1000


class Walker:
    """Walks the media playlist of source `cam`.

    A plain one looks now and then and loads segments; one at the edge asks for the next part,
    with what it knows left out, and loads every part as well.
    """

    def __init__(self, client: Client, variant: str = "h264", *, at_edge: bool = False) -> None:
        self._client = client
        self._variant = variant
        self._at_edge = at_edge
        self._maps: dict[str, bytes] = {}
        self._by_parts, self._whole = MediaCheck(), MediaCheck()
        self._part_bodies: dict[str, bytes] = {}
        self.playlist: Playlist | None = None
        self.walked: list[Entry] = []
        self.played: list[bytes] = []
        """Per init segment: it and all media."""
        self.reloads = 0
        self.punctual = 0
        """Reloads that brought just the part that was asked for."""

    async def reload(self) -> None:
        """Load the playlist and what is new in it."""
        before = self.playlist
        query = self._query(before)
        response = await self._get(f"{self._variant}.m3u8", query)
        text = await response.text()
        if len(text) >= WORTH_ZIPPING_BYTES:
            assert response.headers["Content-Encoding"] == "gzip"
        self.playlist = after = parse_media(text, before if self._at_edge else None)
        if before is not None:
            check_successor(before, after)
        if "_HLS_part" in query and before is not None:
            self._count(before, after)
        for entry in after.all:
            await self._take(entry)

    async def walk_until(self, count: int, timeout_s: float = 30.0) -> None:
        """Reload until so many segments were played."""
        async with asyncio.timeout(timeout_s):
            while len(self.walked) < count:
                await self.reload()
                if not self._at_edge:
                    await asyncio.sleep(0.2)

    def _query(self, before: Playlist | None) -> dict[str, str]:
        if before is None or not self._at_edge:
            return {}
        sequence, part = before.newest
        return {"_HLS_msn": str(sequence), "_HLS_part": str(part + 1), "_HLS_skip": "YES"}

    def _count(self, before: Playlist, after: Playlist) -> None:
        assert after.newest > before.newest, "a reload that was held brings something"
        self.reloads += 1
        sequence, part = before.newest
        self.punctual += after.newest in ((sequence, part + 1), (sequence + 1, 0))

    async def _take(self, entry: Entry) -> None:
        done = self.walked[-1].sequence if self.walked else -1
        if entry.sequence <= done:
            return
        if self._at_edge:
            for part in entry.parts:
                await self._take_part(entry, part)
        if entry.uri:
            await self._take_segment(entry)

    async def _take_part(self, entry: Entry, part: PartEntry) -> None:
        if part.uri in self._part_bodies:
            return
        await self._begin(self._by_parts, entry)
        body = await self._load(part.uri)
        self._by_parts.feed_part(part, body)
        self._part_bodies[part.uri] = body

    async def _take_segment(self, entry: Entry) -> None:
        if self.walked:
            assert entry.sequence == self.walked[-1].sequence + 1, "a segment was missed"
        if await self._begin(self._whole, entry):
            self.played.append(self._maps[entry.map_uri])
        body = await self._load(entry.uri)
        assert self.playlist is not None
        self._whole.feed(entry, body, is_independent=self.playlist.is_independent)
        if entry.parts and self._at_edge:
            parts = [self._part_bodies.pop(part.uri) for part in entry.parts]
            assert b"".join(parts) == body, "a segment is its parts"
        self.played[-1] += body
        self.walked.append(entry)

    async def _begin(self, check: MediaCheck, entry: Entry) -> bool:
        """Have the right init segment; True when it is another one."""
        if entry.map_uri not in self._maps:
            self._maps[entry.map_uri] = await self._load(entry.map_uri)
        if check.map is self._maps[entry.map_uri]:
            return False
        check.begin(self._maps[entry.map_uri])
        return True

    async def _load(self, uri: str) -> bytes:
        return await (await self._get(uri, {})).read()

    async def _get(self, uri: str, query: dict[str, str]) -> ClientResponse:
        response = await self._client.get(f"/hls/v2/cam/{uri}", params=query)
        assert response.status == 200, await response.text()
        return response
