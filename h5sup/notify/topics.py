"""What lies at a broker for each source: its state, and what Home Assistant finds it by.

Everything here is retained, so who connects later knows it at once. See Home Assistant's
documentation of MQTT discovery for the keys; each source is a device there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from h5sup.base.logs import redact
from h5sup.bus.channel import Channel, ChannelState
from h5sup.config.model import MqttConfig, SourceConfig

ONLINE = "online"
OFFLINE = "offline"
ON = "ON"
OFF = "OFF"


class Feed(Protocol):
    """One input of a source."""

    @property
    def channel(self) -> Channel:
        """What it carries now."""


class Source(Protocol):
    """One source as a broker is told of it."""

    @property
    def config(self) -> SourceConfig:
        """As the operator wrote it."""

    @property
    def is_online(self) -> bool:
        """Whether its main input gives pictures."""

    @property
    def state(self) -> ChannelState:
        """How its main input fares."""

    @property
    def main(self) -> Feed:
        """Its main input."""


class Recordings(Protocol):
    """What is recorded."""

    def is_recording(self, token: str) -> bool:
        """Return whether pictures of a source go to the disk."""

    def has_manual(self, token: str) -> bool:
        """Return whether a recording that was begun by hand runs, or waits for pictures."""

    async def start_manual(self, token: str) -> object:
        """Begin one, unless it runs; raises H5supError."""

    async def stop_manual(self, token: str) -> object:
        """End it; raises H5supError."""


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing of a source that Home Assistant shows."""

    component: str
    key: str
    settings: dict[str, object]
    """What the component needs beyond what all have."""
    needs_picture: bool = True
    """It means nothing while the source is offline."""


class Topics:
    """Names and contents, for one installation. Pure: it publishes nothing."""

    def __init__(self, config: MqttConfig, *, host_id: str, version: str) -> None:
        self._config = config
        self._version = version
        self._node = f"h5sup_{host_id[:12]}"
        self.status = f"{config.prefix}/status"
        """ONLINE or OFFLINE: whether h5sup itself is connected."""
        self.events = f"{config.prefix}/events"
        self.commands = f"{config.prefix}/sources/+/record/set"
        """The pattern of all topics at which recording is switched."""
        self._command_topic = re.escape(f"{config.prefix}/sources/") + r"([^/+#]+)/record/set"
        self._source_topic = (
            re.escape(f"{config.prefix}/sources/") + r"([^/+#]+)/(?:state|picture)"
        )

    @property
    def announced(self) -> str:
        """Return the pattern of all this installation announces; empty where it does not."""
        discovery = self._config.discovery
        return f"{discovery}/+/{self._node}/+/config" if discovery else ""

    def picture(self, token: str) -> str:
        """Return where a source's newest picture lies."""
        return f"{self._config.prefix}/sources/{token}/picture"

    def command(self, token: str) -> str:
        """Return where recording of a source is switched on and off, by ON and OFF."""
        return f"{self._config.prefix}/sources/{token}/record/set"

    def commanded(self, topic: str) -> str:
        """Return the token of a topic at which recording is switched; empty for others."""
        match = re.fullmatch(self._command_topic, topic)
        return match[1] if match else ""

    def state(self, token: str) -> str:
        """Return where a source's state lies."""
        return f"{self._config.prefix}/sources/{token}/state"

    def of_source(self, token: str) -> tuple[str, str]:
        """Return all topics of a source but for its announcements."""
        return self.state(token), self.picture(token)

    def announcements(self, source: SourceConfig) -> Iterator[tuple[str, str]]:
        """Yield topic and content of what Home Assistant finds a source by."""
        if self._config.discovery:
            for entity in self._entities(source.token):
                yield self._announcement(source, entity)

    def token_of(self, announcement: bytes) -> str:
        """Return which source an announcement of an earlier run is about; empty for none."""
        try:
            said = json.loads(announcement)
        except (ValueError, RecursionError):
            return ""
        topic = said.get("state_topic") or said.get("topic") if isinstance(said, dict) else None
        match = re.fullmatch(self._source_topic, topic) if isinstance(topic, str) else None
        return match[1] if match else ""

    def _announcement(self, source: SourceConfig, entity: Entity) -> tuple[str, str]:
        token = source.token
        unique = f"{self._node}_{token}"
        checks: list[dict[str, object]] = [{"topic": self.status}]
        if entity.needs_picture:
            template = f"{{{{ '{ONLINE}' if value_json.online else '{OFFLINE}' }}}}"
            checks.append({"topic": self.state(token), "value_template": template})
        content = entity.settings | {
            "unique_id": f"{unique}_{entity.key}",
            "availability": checks,
            "availability_mode": "all",
            "device": {
                "identifiers": [unique],
                "name": source.name or token,
                "manufacturer": "h5sup",
                "sw_version": self._version,
            },
            "origin": {"name": "h5sup", "sw_version": self._version},
        }
        # of topics Home Assistant takes letters, digits, _ and - alone; tokens may hold dots
        place = token.replace("_", "__").replace(".", "_d")
        topic = f"{self._config.discovery}/{entity.component}/{self._node}"
        return f"{topic}/{place}_{entity.key}/config", json.dumps(content, ensure_ascii=False)

    def _entities(self, token: str) -> Iterator[Entity]:
        state = self.state(token)
        yield Entity(
            "binary_sensor",
            "online",
            {
                "name": "Online",
                "device_class": "connectivity",
                "state_topic": state,
                "value_template": "{{ 'ON' if value_json.online else 'OFF' }}",
                "json_attributes_topic": state,
            },
            needs_picture=False,
        )
        yield Entity(
            "binary_sensor",
            "recording",
            {
                "name": "Recording",
                "device_class": "running",
                "state_topic": state,
                "value_template": "{{ 'ON' if value_json.recording else 'OFF' }}",
            },
            needs_picture=False,
        )
        yield Entity(
            "switch",
            "record",
            {
                "name": "Record",
                "icon": "mdi:record-rec",
                "state_topic": state,
                "value_template": "{{ 'ON' if value_json.recording_by_hand else 'OFF' }}",
                "command_topic": self.command(token),
                "payload_on": ON,
                "payload_off": OFF,
            },
            needs_picture=False,
        )
        yield Entity(
            "sensor",
            "fps",
            {
                "name": "Pictures a second",
                "state_class": "measurement",
                "unit_of_measurement": "fps",
                "icon": "mdi:filmstrip",
                "entity_category": "diagnostic",
                "state_topic": state,
                "value_template": "{{ value_json.fps }}",
            },
        )
        yield Entity(
            "sensor",
            "bitrate",
            {
                "name": "Bitrate",
                "state_class": "measurement",
                "device_class": "data_rate",
                "unit_of_measurement": "kbit/s",
                "entity_category": "diagnostic",
                "state_topic": state,
                "value_template": "{{ value_json.bitrate_kbps }}",
            },
        )
        if self._config.picture_s:
            yield Entity("camera", "picture", {"name": None, "topic": self.picture(token)})


def build_state(source: Source, reason: str, recordings: Recordings) -> str:
    """Return what lies at a source's state topic."""
    token = source.config.token
    rates = source.main.channel.rates
    return json.dumps(
        {
            "online": source.is_online,
            "reason": redact(reason),
            "fps": round(rates.fps),
            "bitrate_kbps": round(rates.bitrate_kbps),
            "recording": recordings.is_recording(token),
            "recording_by_hand": recordings.has_manual(token),
        },
        ensure_ascii=False,
    )
