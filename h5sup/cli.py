"""The command line: serve, or one of the things that are done and over.

`run.py` calls `main()`; what it starts is built in app/.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from h5sup.app.places import Places, find_places, load_all
from h5sup.app.server import Server
from h5sup.base.errors import ConfigError, H5supError
from h5sup.base.logs import RecentLines, set_up_logging
from h5sup.config.loading import load_config
from h5sup.config.model import Config
from h5sup.config.profile import Profile
from h5sup.ffmpeg.tools import find_tools
from h5sup.recording.service import Folders
from h5sup.support.bundle import Install, write_bundle
from h5sup.support.report import fetch_report

logger = logging.getLogger(__name__)


def main(argv: Sequence[str], home: Path) -> int:
    """Run the command line; `home` is the folder of run.py. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="run.py", description="h5sup, cameras in every browser")
    parser.add_argument(
        "--config", type=Path, default=home / "config.json", metavar="FILE", help="config.json"
    )
    parser.add_argument("--check", action="store_true", help="judge the configuration and exit")
    parser.add_argument(
        "--log", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="log level"
    )
    add_import_options(parser)
    parser.add_argument(
        "--self-signed", action="store_true", help="make a certificate for HTTPS and exit"
    )
    parser.add_argument(
        "--log-format", default="text", choices=("text", "json"), help="json: an object a line"
    )
    parser.add_argument(
        "--support-bundle",
        action="store_true",
        help="write an archive for who helps, without passwords, into this folder, and exit",
    )
    parser.add_argument(
        "--reindex",
        action="store_true",
        help="build the index of recordings anew from the files, and exit",
    )
    options = parser.parse_args(argv)
    if options.old_file is None and (options.kind or options.out or options.force):
        parser.error("--as, --out and --force go with --import")
    recent = set_up_logging(options.log, log_format=options.log_format)
    config_path = options.config.absolute()
    if options.support_bundle:
        return make_bundle(config_path)
    try:
        if options.old_file is not None:
            import_other(options, home)
            return 0
        if options.self_signed:
            config = load_config(config_path)
            sys.stdout.write(make_certificate(config, config_path.parent))
            return 0
        config, profiles = load_all(config_path)
        if options.check:
            check_certificate(config, config_path.parent)
            sys.stdout.write(f"{config_path.name} is fine: {len(config.sources)} sources\n")
            return 0
        if options.reindex:
            sys.stdout.write(build_index(find_places(config.paths, config_path.parent)))
            return 0
        raise_descriptor_limit()
        wants_restart = asyncio.run(run_server(config_path, config, profiles, recent))
    except H5supError as error:  # a ConfigError, or a store that can't be written
        sys.stderr.write(f"h5sup: {error}\n")
        return 1
    if wants_restart:
        start_anew()
    return 0


def add_import_options(parser: argparse.ArgumentParser) -> None:
    """Add what makes a config.json of another product's file."""
    group = parser.add_argument_group("another product's configuration to config.json")
    group.add_argument(
        "--import", type=Path, dest="old_file", metavar="FILE", help="the file to take over"
    )
    group.add_argument(
        "--as",
        dest="kind",
        metavar="KIND",
        help="h5ss, go2rtc, mediamtx or frigate, if not recognised",
    )
    group.add_argument(
        "--out", type=Path, metavar="FILE", help="the file to write (config.imported.json)"
    )
    group.add_argument("--force", action="store_true", help="overwrite the file to write")


def import_other(options: argparse.Namespace, home: Path) -> None:
    """Write a config.json from another product's file, and the report to standard output."""
    from h5sup.importers.command import import_file  # a server has no use for it, nor for YAML

    target = (options.out or home / "config.imported.json").absolute()
    report = import_file(options.old_file, target, kind=options.kind, force=options.force)
    sys.stdout.write(report)


def make_bundle(config_path: Path) -> int:
    """Write the support bundle into the current folder, whatever the configuration is like."""
    try:
        config = load_config(config_path)
    except ConfigError:
        config = Config()  # the bundle says what is wrong
    places = find_places(config.paths, config_path.parent)
    try:
        tools = asyncio.run(find_tools(config.paths.ffmpeg, config.paths.ffprobe))
        ffmpeg = f"{tools.ffmpeg}: {tools.version_line}"
    except ConfigError as error:
        ffmpeg = str(error)
    install = Install(
        config=config_path,
        data=places.data,
        profiles=places.profiles,
        ram=places.ram,
        ffmpeg=ffmpeg,
    )
    try:
        path = write_bundle(install, Path.cwd())
    except OSError as error:
        sys.stderr.write(f"h5sup: the bundle can't be written: {error.strerror}\n")
        return 1
    sys.stdout.write(f"{path.name} holds no password, but addresses and names: look at it first\n")
    return 0


async def run_server(
    config_path: Path, config: Config, profiles: dict[str, Profile], recent: RecentLines
) -> bool:
    """Serve to the end; returns whether a fresh start is wanted."""
    server = Server(config_path, config, profiles, recent)
    await server.run()
    return server.wants_restart


def start_anew() -> NoReturn:
    """Become the same command afresh: supervisors see one process that never ended."""
    logger.info("starting anew")
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (no shell)


def build_index(places: Places) -> str:
    """Build the index of recordings anew; raises ConfigError beside a running server."""
    from h5sup.recording.reindex import reindex

    if fetch_report(places.ram) is not None:
        raise ConfigError("", "h5sup runs and keeps its index right by itself: stop it first")
    return asyncio.run(reindex(Folders(places.data, places.mediastore))) + "\n"


def raise_descriptor_limit() -> None:
    """Allow as many sockets and pipes as the system lets us: 1024 is a thousand viewers short."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def make_certificate(config: Config, home: Path) -> str:
    """Make a certificate for this machine in paths.data; return what to tell who asked for it."""
    from h5sup.web.certificates import write_self_signed
    from h5sup.web.tls import CERT_NAME, KEY_NAME

    data = find_places(config.paths, home).data
    made = write_self_signed(data / CERT_NAME, data / KEY_NAME)
    lines = [
        f"made {data / CERT_NAME} and {KEY_NAME} beside it",
        f"good until {made.ends:%Y-%m-%d} for {', '.join(made.names)}",
        f"SHA-256 fingerprint {made.fingerprint}",
    ]
    if config.http.tls_cert:
        lines.append("config.json names another one: take http.tls_cert and http.tls_key out")
    elif config.http.tls_port:
        lines.append("a running h5sup takes it within seconds")
    else:
        lines.append('put into config.json: "http": {"tls_port": 8443}, and restart h5sup')
    lines.append("browsers ask once whether to trust it: compare the fingerprint")
    return "\n".join(lines) + "\n"


def check_certificate(config: Config, home: Path) -> None:
    """Raise ConfigError for a certificate that HTTPS could not be served with."""
    if config.http.tls_port:
        from h5sup.web.tls import find_pair, load_pair

        load_pair(*find_pair(config.http, home, find_places(config.paths, home).data))
