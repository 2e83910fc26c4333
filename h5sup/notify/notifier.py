"""All that goes out, as config.json has it."""

from __future__ import annotations

from h5sup.config.broker import parse_broker
from h5sup.config.model import Config
from h5sup.events.hub import Hub
from h5sup.notify.mqtt import Mqtt, Pictures, Sources
from h5sup.notify.topics import Recordings, Topics
from h5sup.notify.webhooks import Webhooks


class Notifier:
    """Webhooks and MQTT; `start()` and `close()` from the event loop."""

    def __init__(
        self,
        config: Config,
        hub: Hub,
        sources: Sources,
        pictures: Pictures,
        recordings: Recordings,
        *,
        host_id: str,
        version: str,
    ) -> None:
        self.hub = hub
        self.webhooks = Webhooks(config.webhooks, hub)
        self.mqtt: Mqtt | None = None
        if config.mqtt.url:
            self.mqtt = Mqtt(
                parse_broker(config.mqtt.url, "mqtt.url"),
                config.mqtt,
                Topics(config.mqtt, host_id=host_id, version=version),
                hub,
                sources,
                pictures,
                recordings,
                identifier=f"h5sup-{host_id[:12]}",
            )

    def start(self) -> None:
        """Begin to send what happens from now on."""
        self.webhooks.start()
        if self.mqtt is not None:
            self.mqtt.start()

    async def close(self) -> None:
        """Send nothing any more."""
        await self.webhooks.close()
        if self.mqtt is not None:
            await self.mqtt.close()
