"""A WHEP server of aiortc's own parts, to compare with: `stock_aiortc.py FILE.ts`."""

import asyncio
import sys
from typing import Any

from aiohttp import web
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer, MediaRelay


class Stock:
    """One file to many, packets passed on without decoding."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._player: Any = None
        self._relay = MediaRelay()
        self._peers: set[RTCPeerConnection] = set()

    async def offer(self, request: web.Request) -> web.Response:
        """Answer one viewer."""
        if self._player is None:
            options = {"fflags": "+genpts"}
            self._player = await asyncio.to_thread(
                MediaPlayer, self._path, "mpegts", options, loop=True, decode=False
            )
        peer = RTCPeerConnection()
        self._peers.add(peer)
        sender = peer.addTrack(self._relay.subscribe(self._player.video))
        wanted = [one for one in RTCRtpSender.getCapabilities("video").codecs
                  if one.mimeType in ("video/H264", "video/rtx")]  # fmt: skip
        await peer.setRemoteDescription(
            RTCSessionDescription(sdp=await request.text(), type="offer")
        )
        for transceiver in peer.getTransceivers():
            if transceiver.sender is sender:
                transceiver.setCodecPreferences(wanted)
        await peer.setLocalDescription(await peer.createAnswer())
        return web.Response(
            status=201,
            text=peer.localDescription.sdp,
            content_type="application/sdp",
            headers={"Location": "/gone"},
        )


def main() -> None:
    """Serve until killed; the port goes to standard output."""
    app = web.Application()
    app.router.add_post("/whep/{token}", Stock(sys.argv[1]).offer)

    async def run() -> None:
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    main()
