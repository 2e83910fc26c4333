"""Rules for where events are sent: webhooks and MQTT."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from h5sup.base.errors import ConfigError
from h5sup.config.broker import parse_broker
from h5sup.config.model import Config, MqttConfig, WebhookConfig

TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}")


def check_outward(config: Config) -> None:
    """Raise ConfigError for what can't be sent to."""
    for index, hook in enumerate(config.webhooks):
        _check_webhook(hook, f"webhooks[{index}]")
    _check_mqtt(config.mqtt)


def _check_webhook(hook: WebhookConfig, path: str) -> None:
    try:
        parts = urlsplit(hook.url)
        port = parts.port
    except ValueError:
        raise ConfigError(f"{path}.url", "is not an address, check host and port") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ConfigError(f"{path}.url", "must look like https://host.example/path")
    if any(ord(letter) <= 0x20 or ord(letter) == 0x7F for letter in hook.url):
        raise ConfigError(f"{path}.url", "must hold neither blanks nor control characters")


def _check_mqtt(mqtt: MqttConfig) -> None:
    if mqtt.url:
        parse_broker(mqtt.url, "mqtt.url")
    if not TOPIC.fullmatch(mqtt.prefix):
        raise ConfigError("mqtt.prefix", "must be letters, digits, '_' or '-', with '/' between")
    if mqtt.discovery and not TOPIC.fullmatch(mqtt.discovery):
        raise ConfigError(
            "mqtt.discovery", "must be letters, digits, '_' or '-', with '/' between, or empty"
        )
