"""All cameras that can be moved, by their sources' tokens, and the names of their presets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol

from h5sup.base.errors import ConflictError, NotFoundError, UnavailableError
from h5sup.base.tasks import report_crash
from h5sup.devices.helm import Helm
from h5sup.devices.model import (
    STILL_AFTER_S,
    DeviceError,
    DeviceFailure,
    Motion,
    Preset,
    Steerable,
    Switch,
)
from h5sup.devices.preset_names import PresetNames

MAX_PRESETS = 300  # Hikvision counts to 300, most others to 255
FRESH_S = 2.0  # a list this old is told again rather than asked for anew
CHANNEL = "--"  # what parts a recorder's token from its channel's number

logger = logging.getLogger(__name__)


class Steered(Protocol):
    """A source, as far as it is moved."""

    @property
    def steering(self) -> Steerable | None:
        """What moves its camera, None where nothing can."""


class Steereds(Protocol):
    """All sources."""

    def get(self, token: str) -> Steered:
        """Return one; raises NotFoundError."""


class PresetStore(Protocol):
    """Where the names of presets are kept."""

    async def presets(self) -> Sequence[Mapping[str, Any]]:
        """Return them as they were saved, a row for each source."""

    async def save_presets(self, raw: Mapping[str, Any]) -> None:
        """Keep those of a source, in place of what was kept of it."""

    async def delete_presets(self, token: str) -> None:
        """Forget those of a source."""


class _Post:
    """What is kept of one source."""

    def __init__(self, source: Steered, helm: Helm) -> None:
        self.source = source
        self.helm = helm
        self.listed: Sequence[Preset] = ()
        self.listed_s = float("-inf")


class Steering:
    """Moves the cameras of sources. Used from the event loop alone.

    `start()` comes first and `close()` last; `follow()` is called when sources have changed.
    Every method that takes a token raises NotFoundError, DeviceError and UnavailableError.
    """

    def __init__(
        self, sources: Steereds, store: PresetStore, *, still_after_s: float = STILL_AFTER_S
    ) -> None:
        self._sources = sources
        self._store = store
        self._still_after_s = still_after_s
        self._posts: dict[str, _Post] = {}
        self._names: dict[str, PresetNames] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def start(self) -> None:
        """Read the names of presets."""
        for row in await self._store.presets():
            token, raw = row.get("token"), row.get("presets")
            if isinstance(token, str) and isinstance(raw, dict):
                self._names[token] = PresetNames(raw)

    async def close(self) -> None:
        """Stop all that moves, and take no more commands."""
        self._is_closed = True
        await asyncio.gather(*(post.helm.close() for post in self._posts.values()))
        await self.settle()

    async def settle(self) -> None:
        """Wait until the cameras of sources that are gone have been stopped."""
        if self._leaving:
            await asyncio.wait(self._leaving)

    def follow(self) -> None:
        """Stop the cameras of sources that are gone or not the same any more."""
        if self._is_closed:
            return
        for token, post in list(self._posts.items()):
            if self._find(token) is not post.source:
                self._leave(token, post)
        for token in list(self._names):
            # a recorder that is away has no channels for now, and gets them back
            if CHANNEL not in token and self._find(token) is None:
                del self._names[token]
                self._part(self._forget(token), f"forgetting presets of {token}")

    async def move(self, token: str, motion: Motion) -> bool:
        """Move on until stop(), and no longer than STILL_AFTER_S unless this comes again.

        Returns False when a newer command took its place.
        """
        post, steerable = self._take(token)
        if motion == Motion():
            return await post.helm.stop(steerable)
        return await post.helm.move(steerable, motion)

    async def stop(self, token: str) -> bool:
        """Stand still; False as in move()."""
        post, steerable = self._take(token)
        return await post.helm.stop(steerable)

    async def go_to(self, token: str, preset: str) -> bool:
        """Turn to a place; False as in move()."""
        post, steerable = self._take(token)
        return await post.helm.go_to(steerable, self._names_of(token).of_device(preset))

    async def switch(self, token: str, what: Switch, *, on: bool) -> None:
        """Switch the wiper or the light."""
        post, steerable = self._take(token)
        await post.helm.queue(lambda: steerable.switch(what, on=on))

    async def presets(self, token: str) -> Sequence[Preset]:
        """Return the places a camera knows, none for a source that can't be moved."""
        if self._sources.get(token).steering is None:
            return ()
        post, steerable = self._take(token)
        try:
            found = await post.helm.queue(lambda: self._list(post, steerable))
        except DeviceError as error:
            if error.failure is not DeviceFailure.UNSUPPORTED:
                raise
            return ()
        return self._names_of(token).listed(found)

    async def set_preset(self, token: str, preset: str, name: str) -> None:
        """Keep where the camera looks now under a token; raises ConflictError when it is full."""
        post, steerable = self._take(token)
        await post.helm.queue(lambda: self._set(token, post, steerable, preset, name))

    async def delete_preset(self, token: str, preset: str) -> None:
        """Forget a place, on the camera and here."""
        post, steerable = self._take(token)
        await post.helm.queue(lambda: self._delete(token, post, steerable, preset))

    async def _list(self, post: _Post, steerable: Steerable) -> Sequence[Preset]:
        now_s = asyncio.get_running_loop().time()
        if now_s - post.listed_s >= FRESH_S:
            post.listed = await steerable.presets()
            post.listed_s = now_s
        return post.listed

    async def _set(
        self, token: str, post: _Post, steerable: Steerable, preset: str, name: str
    ) -> None:
        names = self._names_of(token)
        if len(names) >= MAX_PRESETS and preset not in names:
            raise ConflictError(f"{MAX_PRESETS} presets are kept of this camera: delete some")
        post.listed_s = float("-inf")
        own = await steerable.set_preset(names.to_set(preset), name)
        if names.keep(preset, own):
            self._names[token] = names
            await self._save(token)

    async def _delete(self, token: str, post: _Post, steerable: Steerable, preset: str) -> None:
        names = self._names_of(token)
        own = names.of_device(preset)
        post.listed_s = float("-inf")
        try:
            await steerable.delete_preset(own)
        except DeviceError as error:
            # one that the camera has lost may be forgotten here too
            if preset not in names or error.failure is not DeviceFailure.NOT_UNDERSTOOD:
                raise
            if any(one.token == own for one in await steerable.presets()):
                raise
        if names.drop(preset):
            await self._save(token)

    async def _save(self, token: str) -> None:
        names = self._names_of(token)
        if names:
            await self._store.save_presets({"token": token, "presets": names.raw()})
        else:
            self._names.pop(token, None)
            await self._store.delete_presets(token)

    def _leave(self, token: str, post: _Post) -> None:
        if self._posts.get(token) is not post:
            return  # looking for a source may have opened it anew, which told of a change
        del self._posts[token]
        self._part(post.helm.close(), f"steering {token} no more")

    async def _forget(self, token: str) -> None:
        try:
            await self._store.delete_presets(token)
        except UnavailableError as error:  # they do no harm where they are
            logger.warning("the presets of %s are kept: %s", token, error)

    def _names_of(self, token: str) -> PresetNames:
        return self._names.get(token) or PresetNames()

    def _take(self, token: str) -> tuple[_Post, Steerable]:
        if self._is_closed:
            raise UnavailableError("the server stops")
        source = self._sources.get(token)
        steerable = source.steering
        if steerable is None:
            raise DeviceError(
                DeviceFailure.UNSUPPORTED,
                f"source {token!r} can't be steered: add its camera by ONVIF, or its recorder",
            )
        post = self._posts.get(token)
        if post is not None and post.source is not source:
            self._leave(token, post)
            post = None
        if post is None:
            post = self._posts[token] = _Post(source, self._new_helm(token))
        return post, steerable

    def _new_helm(self, token: str) -> Helm:
        return Helm(f"the camera of source {token!r}", still_after_s=self._still_after_s)

    def _find(self, token: str) -> Steered | None:
        try:
            return self._sources.get(token)
        except NotFoundError:
            return None

    def _part(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        task.add_done_callback(report_crash)
