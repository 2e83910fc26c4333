"""An ONVIF camera on a SOAP stack that is not ours: npm's `soap`, which virtual cameras use."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from h5sup.devices.onvif.soap import find_wsdl_folder

SCRIPT = Path(__file__).with_suffix(".mjs")
PACKAGES = Path(__file__).parents[2] / "www" / "package.json"
START_TIMEOUT_S = 30.0


class NodeSoapCamera:
    """A camera that moves, tells events and gives two pictures; use it in `async with`.

    It takes a UsernameToken with a digest. Profiles are `big` and `small`, which zooms half as
    fast as others; preset `1` is called Gate, and it chooses the tokens of new ones.
    """

    def __init__(self, pictures: Mapping[str, str], *, user: str, password: str) -> None:
        """Take the RTSP addresses of `big` and `small`."""
        sizes = {"big": (1280, 720), "small": (384, 216)}
        self._settings: dict[str, Any] = {
            "packages": str(PACKAGES),
            "user": user,
            "password": password,
            "profiles": [
                {"token": token, "uri": uri, "width": sizes[token][0], "height": sizes[token][1]}
                for token, uri in pictures.items()
            ],
        }
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None

    async def state(self) -> dict[str, Any]:
        """Return what it does and what it was asked."""
        found: dict[str, Any] = json.loads(await self._get("/state"))
        return found

    async def tell_motion(self, *, is_on: bool) -> None:
        """See motion begin or end."""
        await self._get(f"/motion?on={str(is_on).lower()}")

    async def __aenter__(self) -> Self:
        node = shutil.which("node")
        if node is None:
            raise RuntimeError("the tests' camera needs Node.js: ./install.sh --test brings it")
        self._settings["wsdl"] = str(await asyncio.to_thread(find_wsdl_folder))
        self._process = await asyncio.create_subprocess_exec(
            node,
            str(SCRIPT),
            json.dumps(self._settings),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT_S):
            line = await self._process.stdout.readline()
        assert line, "the camera ended; its words are on stderr"
        self.port = int(line)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def _get(self, path: str) -> bytes:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.request("GET", url) as response:
            return await response.read()
