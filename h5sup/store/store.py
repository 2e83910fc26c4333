"""What the API configured: read and written on a thread of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tinydb import TinyDB, where
from tinydb.table import Table

from h5sup.base.errors import UnavailableError
from h5sup.store.storage import AtomicStorage

T = TypeVar("T")

FILE_NAME = "h5sup.json"


class Store:
    """The TinyDB of one data folder; `open()` comes first, `close()` last. One owner a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="h5sup-store")
        self._database: TinyDB | None = None

    async def open(self) -> None:
        """Read the file; raises ConfigError when neither generation of it can be used."""
        await self._run(self._open)

    async def close(self) -> None:
        """Finish what is being written."""
        await asyncio.to_thread(self._thread.shutdown)

    async def sources(self) -> list[dict[str, Any]]:
        """Return the sources added by API, as they were saved and in that order."""
        return await self._run(lambda: self._rows("sources"))

    async def save_source(self, raw: Mapping[str, Any]) -> None:
        """Keep a source, in place of one with the same token."""
        await self._run(lambda: self._save("sources", "token", raw))

    async def delete_source(self, token: str) -> None:
        """Forget a source; an unknown one is ignored."""
        await self._run(lambda: self._delete("sources", "token", token))

    async def users(self) -> list[dict[str, Any]]:
        """Return the users added or changed by API, as they were saved."""
        return await self._run(lambda: self._rows("users"))

    async def save_user(self, raw: Mapping[str, Any]) -> None:
        """Keep a user, in place of one with the same name."""
        await self._run(lambda: self._save("users", "name", raw))

    async def delete_user(self, name: str) -> None:
        """Forget a user; an unknown one is ignored."""
        await self._run(lambda: self._delete("users", "name", name))

    async def recordings(self) -> list[dict[str, Any]]:
        """Return the recordings that run until somebody or their time ends them."""
        return await self._run(lambda: self._rows("recordings"))

    async def save_recording(self, raw: Mapping[str, Any]) -> None:
        """Keep a recording's order, in place of one with the same key."""
        await self._run(lambda: self._save("recordings", "key", raw))

    async def delete_recording(self, key: str) -> None:
        """Forget a recording's order; an unknown one is ignored."""
        await self._run(lambda: self._delete("recordings", "key", key))

    async def presets(self) -> list[dict[str, Any]]:
        """Return by which tokens clients know cameras' presets, a row for each source."""
        return await self._run(lambda: self._rows("presets"))

    async def save_presets(self, raw: Mapping[str, Any]) -> None:
        """Keep the presets of a source, in place of what was kept of it."""
        await self._run(lambda: self._save("presets", "token", raw))

    async def delete_presets(self, token: str) -> None:
        """Forget the presets of a source; an unknown one is ignored."""
        await self._run(lambda: self._delete("presets", "token", token))

    async def devices(self) -> list[dict[str, Any]]:
        """Return the recorders added by API, as they were saved and in that order."""
        return await self._run(lambda: self._rows("devices"))

    async def save_device(self, raw: Mapping[str, Any]) -> None:
        """Keep a recorder, in place of one with the same token."""
        await self._run(lambda: self._save("devices", "token", raw))

    async def delete_device(self, token: str) -> None:
        """Forget a recorder; an unknown one is ignored."""
        await self._run(lambda: self._delete("devices", "token", token))

    async def device_channels(self) -> list[dict[str, Any]]:
        """Return the channels of each recorder, as they were saved."""
        return await self._run(lambda: self._rows("device_channels"))

    async def save_device_channels(self, raw: Mapping[str, Any]) -> None:
        """Keep the channels of a recorder, in place of what was kept of it."""
        await self._run(lambda: self._save("device_channels", "token", raw))

    async def delete_device_channels(self, token: str) -> None:
        """Forget the channels of a recorder; an unknown one is ignored."""
        await self._run(lambda: self._delete("device_channels", "token", token))

    async def certificates(self) -> list[dict[str, Any]]:
        """Return the certificate that each device is known by, as they were saved."""
        return await self._run(lambda: self._rows("certificates"))

    async def save_certificate(self, raw: Mapping[str, Any]) -> None:
        """Keep the certificate of a device, in place of what was kept by the same `key`."""
        await self._run(lambda: self._save("certificates", "key", raw))

    async def delete_certificates(self, token: str) -> None:
        """Forget the certificates of a device; an unknown one is ignored."""
        await self._run(lambda: self._delete("certificates", "token", token))

    async def host_id(self) -> str:
        """Return this installation's id: random, made at the first start, then always the same."""
        return await self._run(self._host_id)

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._database = TinyDB(self._path, storage=AtomicStorage)

    def _rows(self, name: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self._table(name).all()]

    def _save(self, name: str, key: str, raw: Mapping[str, Any]) -> None:
        """Update or insert: TinyDB's upsert writes twice and keeps keys that are gone."""

        def put(row: MutableMapping[Any, Any]) -> None:
            row.clear()
            row.update(raw)

        table, is_it = self._table(name), where(key) == raw[key]
        if table.contains(is_it):
            table.update(put, is_it)
        else:
            table.insert(raw)

    def _delete(self, name: str, key: str, value: str) -> None:
        table, is_it = self._table(name), where(key) == value
        if table.contains(is_it):  # or nothing would be written for nothing
            table.remove(is_it)

    def _host_id(self) -> str:
        table = self._table("installation")
        for row in table.all():
            return str(row["host_id"])
        host_id = secrets.token_hex(16)
        table.insert({"host_id": host_id})
        return host_id

    def _table(self, name: str) -> Table:
        assert self._database is not None, "open() comes first"
        # no query cache: the rows it hands out are its own
        return self._database.table(name, cache_size=0)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except OSError as error:
            raise UnavailableError(f"{self._path} can't be written: {error.strerror}") from error
