"""Events, states and pictures to an MQTT broker, for as long as it takes to be there.

What is retained at the broker is made so at every connection, so nothing is queued while there
is none but the newest events.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import aiomqtt

from h5sup.base.errors import H5supError, NotFoundError
from h5sup.base.tasks import end_tasks
from h5sup.config.broker import Broker
from h5sup.config.model import MqttConfig, SourceConfig
from h5sup.events.hub import Hub, Subscription
from h5sup.events.wire import encode
from h5sup.notify.topics import (
    OFF,
    OFFLINE,
    ON,
    ONLINE,
    Recordings,
    Source,
    Topics,
    build_state,
)
from h5sup.notify.work import Work

TIMEOUT_S = 5.0  # for each answer of the broker
CONNECT_TIMEOUT_S = 10.0  # paho gives up on TCP after 5 s, TLS and MQTT follow
FAREWELL_S = 2.0
KEEPALIVE_S = 20
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
STABLE_AFTER_S = 30.0  # a connection that held so long clears the pause
LOOK_S = 1.0  # at which sources want a picture
RETRY_S = 3.0  # where there was none; none costs an ffmpeg, too
MAX_ANNOUNCEMENTS = 10_000  # of earlier runs, that a broker may hand us at once
AT_LEAST_ONCE = 1  # MQTT 3.1.1 §4.3.2: without an answer, a dead broker would not show
MAX_PICTURE_BYTES = 4_000_000

logger = logging.getLogger(__name__)


class Sources(Protocol):
    """All sources."""

    def sources(self) -> Sequence[Source]:
        """Return them."""


class Pictures(Protocol):
    """The newest picture of each source."""

    async def jpeg(self, token: str) -> bytes | None:
        """Return it as JPEG, None before the first frame; raises NotFoundError."""


@dataclass(slots=True)
class Told:
    """What the broker keeps of one source."""

    config: SourceConfig | None = None
    """That it was announced for; None when it must be announced again."""
    announcements: dict[str, str] = field(default_factory=dict)
    state: str = ""
    reason: str = ""
    """Why it is offline; a source that is being tried again has none of its own."""
    picture_due: float = 0.0
    """When its next picture is to be made; 0 for as soon as it comes."""

    def note_reason(self, source: Source) -> None:
        """Keep the newest reason until the source is online."""
        if source.is_online:
            self.reason = ""
        elif source.state.reason:
            self.reason = source.state.reason


class Mqtt:
    """The one connection to the broker; `start()` and `close()` from the event loop."""

    def __init__(
        self,
        broker: Broker,
        config: MqttConfig,
        topics: Topics,
        hub: Hub,
        sources: Sources,
        pictures: Pictures,
        recordings: Recordings,
        *,
        identifier: str,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self.is_connected = False
        self._broker = broker
        self._config = config
        self._topics = topics
        self._hub = hub
        self._sources = sources
        self._pictures = pictures
        self._recordings = recordings
        self._identifier = identifier
        self._first_pause_s = first_pause_s
        self._work = Work()
        self._is_closing = False
        self._told: dict[str, Told] = {}
        self._refreshing = asyncio.Lock()
        self._commands: dict[str, str] = {}  # the newest of each source that waits
        self._has_command = asyncio.Event()

    def start(self) -> None:
        """Begin to listen and to connect."""
        self._work.start(self._run(self._hub.subscribe()), "mqtt")

    async def close(self) -> None:
        """Say goodbye and disconnect."""
        self._is_closing = True
        await self._work.close()

    async def _run(self, events: Subscription) -> None:
        """Connect for ever. Nothing else decides on trying again."""
        loop = asyncio.get_running_loop()
        context = await asyncio.to_thread(ssl.create_default_context)
        pause_s, said = self._first_pause_s, ""
        while True:
            begun, sentence = loop.time(), ""
            try:
                await self._serve(self._build_client(context), events)
            except* (aiomqtt.MqttError, OSError) as group:
                sentence = _describe(_first(group))
            if self._is_closing:  # a TaskGroup that fails when it is cancelled tells the one alone
                return
            if loop.time() - begun >= STABLE_AFTER_S:
                pause_s, said = self._first_pause_s, ""
            if sentence != said:  # a broker that is away says the same every minute
                logger.warning("no MQTT at %s: %s; it is tried again", self._where, sentence)
            said = sentence
            await asyncio.sleep(pause_s * random.uniform(0.7, 1.0))  # noqa: S311 (no secret)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    @property
    def _where(self) -> str:
        return f"{self._broker.host} port {self._broker.port}"

    async def _serve(self, client: aiomqtt.Client, events: Subscription) -> None:
        """Connect and publish until that fails; always raises."""
        await _connect(client)
        try:
            for told in self._told.values():  # the broker may have forgotten all of it
                told.config, told.state, told.picture_due = None, "", 0.0
            await self._greet(client)
            logger.info("MQTT at %s is connected", self._where)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(client, events), name="mqtt states")
                group.create_task(self._show(client), name="mqtt pictures")
                group.create_task(self._read(client), name="mqtt messages")
                group.create_task(self._obey(client), name="mqtt commands")
        finally:
            self.is_connected = False
            await self._leave(client)

    def _build_client(self, context: ssl.SSLContext) -> aiomqtt.Client:
        broker = self._broker
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.user,
            password=broker.password,
            identifier=self._identifier,
            logger=logging.getLogger(f"{__name__}.wire"),
            will=aiomqtt.Will(self._topics.status, OFFLINE, qos=AT_LEAST_ONCE, retain=True),
            tls_context=context if broker.has_tls else None,
            timeout=math.inf,  # we limit it: before Python 3.12 wait_for() may lose a cancel()
            keepalive=KEEPALIVE_S,
            max_queued_incoming_messages=MAX_ANNOUNCEMENTS,
        )

    async def _greet(self, client: aiomqtt.Client) -> None:
        """Make what the broker keeps so; it is online once commands are heard, too."""
        await self._refresh(client)
        self._commands.clear()  # nobody expects what was said long ago to be done now
        async with asyncio.timeout(TIMEOUT_S):
            await client.subscribe(self._topics.commands, AT_LEAST_ONCE)
            if self._topics.announced:
                await client.subscribe(self._topics.announced, AT_LEAST_ONCE)
        self.is_connected = True
        await _keep(client, self._topics.status, ONLINE)

    async def _leave(self, client: aiomqtt.Client) -> None:
        """Say that h5sup has gone; a broker that no longer answers says it by itself."""
        with suppress(aiomqtt.MqttError, OSError):
            async with asyncio.timeout(FAREWELL_S):
                await _keep(client, self._topics.status, OFFLINE)
        await _disconnect(client)

    async def _follow(self, client: aiomqtt.Client, events: Subscription) -> None:
        """Publish events as they come and states every so often."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._config.state_s
        while True:
            try:
                async with asyncio.timeout_at(due):
                    event = await events.next()
            except TimeoutError:
                due = loop.time() + self._config.state_s
            else:
                await _publish(client, self._topics.events, encode(event))
            await self._refresh(client)

    async def _refresh(self, client: aiomqtt.Client) -> None:
        """Make what the broker keeps as it should be; what has not changed is not sent."""
        async with self._refreshing:
            await self._make_so(client)

    async def _make_so(self, client: aiomqtt.Client) -> None:
        present = {source.config.token: source for source in self._sources.sources()}
        for token in self._told.keys() - present.keys():
            for topic in (*self._told[token].announcements, *self._topics.of_source(token)):
                await _keep(client, topic, "")
            del self._told[token]
        for token, source in present.items():
            told = self._told.setdefault(token, Told())
            await self._announce(client, source, told)
            told.note_reason(source)
            state = build_state(source, told.reason, self._recordings)
            if state != told.state:
                await _keep(client, self._topics.state(token), state)
                told.state = state

    async def _announce(self, client: aiomqtt.Client, source: Source, told: Told) -> None:
        if told.config is source.config:
            return
        announcements = dict(self._topics.announcements(source.config))
        told.announcements = announcements  # first: what comes back to us must be known as ours
        for topic, content in announcements.items():
            await _keep(client, topic, content)
        told.config = source.config

    async def _show(self, client: aiomqtt.Client) -> None:
        """Publish pictures, one after the other: when a source comes, and every so often."""
        while self._config.picture_s:
            for source in self._sources.sources():
                told = self._told.get(source.config.token)
                if told is not None and self._wants_picture(source, told):
                    await self._show_one(client, source.config.token, told)
            await asyncio.sleep(LOOK_S)

    def _wants_picture(self, source: Source, told: Told) -> bool:
        if not source.is_online:
            told.picture_due = 0.0
            return False
        return asyncio.get_running_loop().time() >= told.picture_due

    async def _show_one(self, client: aiomqtt.Client, token: str, told: Told) -> None:
        try:
            jpeg = await self._pictures.jpeg(token)
        except NotFoundError:  # it was deleted a moment ago
            return
        now = asyncio.get_running_loop().time()
        told.picture_due = now + (RETRY_S if jpeg is None else self._config.picture_s)
        if jpeg and len(jpeg) <= MAX_PICTURE_BYTES and self._told.get(token) is told:
            await _keep(client, self._topics.picture(token), jpeg)

    async def _read(self, client: aiomqtt.Client) -> None:
        """Take what the broker sends; raises when disconnected."""
        async for message in client.messages:
            topic, content = str(message.topic), bytes(message.payload or b"")
            token = self._topics.commanded(topic)
            if not token:
                await self._clear(client, topic, content)
            elif not message.retain:  # what is kept was said long ago
                self._note_command(token, content)

    async def _clear(self, client: aiomqtt.Client, topic: str, content: bytes) -> None:
        """Take back what an earlier run announced and is no more."""
        if not content or self._is_present(topic):
            return
        await _keep(client, topic, "")
        token = self._topics.token_of(content)
        if token and token not in self._told:
            for one in self._topics.of_source(token):
                await _keep(client, one, "")

    def _note_command(self, token: str, content: bytes) -> None:
        """Keep the newest command of a source that there is."""
        command = content.decode("utf-8", "replace").strip().upper()
        if command in (ON, OFF) and token in self._told:
            self._commands[token] = command
            self._has_command.set()
        else:
            logger.warning("an MQTT command that means nothing is ignored")

    async def _obey(self, client: aiomqtt.Client) -> None:
        """Switch recordings as the broker's clients ask for it."""
        while True:
            await self._has_command.wait()
            self._has_command.clear()
            while self._commands:
                token, command = self._commands.popitem()
                await self._switch(token, command)
                await self._refresh(client)

    async def _switch(self, token: str, command: str) -> None:
        try:
            if command == ON:
                await self._recordings.start_manual(token)
            else:
                await self._recordings.stop_manual(token)
        except H5supError as error:
            logger.warning("recording of %s is not switched %s: %s", token, command, error)

    def _is_present(self, topic: str) -> bool:
        return any(topic in told.announcements for told in self._told.values())


async def _keep(client: aiomqtt.Client, topic: str, content: str | bytes) -> None:
    """Have the broker keep this, or forget the topic for an empty content."""
    await _publish(client, topic, content, retain=True)


async def _publish(
    client: aiomqtt.Client, topic: str, content: str | bytes, *, retain: bool = False
) -> None:
    """Return when the broker has it. Raises MqttError, TimeoutError."""
    async with asyncio.timeout(TIMEOUT_S):
        await client.publish(topic, content, qos=AT_LEAST_ONCE, retain=retain)


async def _connect(client: aiomqtt.Client) -> None:
    """Raises MqttError, TimeoutError.

    aiomqtt connects on a thread that can't be called off: who leaves meanwhile waits a moment for
    it, or its socket would stay open.
    """
    connecting = asyncio.create_task(client.__aenter__(), name="mqtt connect")
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await asyncio.shield(connecting)
    except (asyncio.CancelledError, TimeoutError):
        await asyncio.wait({connecting}, timeout=FAREWELL_S)
        await end_tasks(connecting)
        await _disconnect(client)
        raise


async def _disconnect(client: aiomqtt.Client) -> None:
    """Close the connection, with or without the broker's help."""
    with suppress(aiomqtt.MqttError, OSError):
        async with asyncio.timeout(FAREWELL_S):
            await client.__aexit__(None, None, None)
            async for _ in client.messages:  # ends by telling how the connection ended: if nobody
                pass  # asks aiomqtt for that, asyncio logs it as an error


def _describe(error: BaseException) -> str:
    return str(error) or "the broker does not answer"


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group that holds groups."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
