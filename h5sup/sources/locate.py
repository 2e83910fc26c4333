"""From what a person configured to what ffmpeg may open."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from h5sup.base.errors import ConfigError
from h5sup.config.model import SourceConfig
from h5sup.ffmpeg.media import Input, InputKind

KINDS: dict[str, InputKind] = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "rtmp": "rtmp",
    "rtmps": "rtmp",
    "http": "http",
    "https": "http",
}


def locate_file(media_root: Path, name: str) -> Path:
    """Return the file's real path; raises ConfigError when it lies outside the media folder."""
    root = media_root.resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root) or path == root:
        raise ConfigError("url", "must be a file inside the media folder (paths.media_root)")
    return path


def locate_network(config: SourceConfig, url: str) -> Input:
    """Return a camera's or server's address with its credentials apart."""
    return Input(
        kind=KINDS[urlsplit(url).scheme],
        url=url,
        transport=config.transport,
        user=config.user,
        password=config.password,
    )
