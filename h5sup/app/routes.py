"""What is where: the calls, the sockets, the media and the pages, over the services."""

from __future__ import annotations

from aiohttp import web

from h5sup.api.dispatch import Handler, Mount, create_api
from h5sup.api.services import Restarter, Services
from h5sup.api.subject import AllSources, InPath
from h5sup.app.parts import Parts
from h5sup.auth.administration import Administration
from h5sup.auth.guard import Access
from h5sup.outputs.rtc.whep import METHODS as WHEP_METHODS


def build_services(parts: Parts, restarter: Restarter) -> Services:
    """Return what the calls use."""
    recording = parts.recording
    return Services(
        guard=parts.guard,
        logins=parts.logins,
        administration=Administration(parts.users, parts.logins, parts.sessions),
        sessions=parts.sessions,
        sources=parts.sources,
        devices=parts.devices,
        onvif=parts.onvif,
        steering=parts.steering,
        pictures=parts.pictures,
        recordings=recording.recordings,
        ws_viewers=parts.ws,
        rtc_viewers=parts.rtc,
        machine=parts.machine,
        codecs=parts.codecs,
        library=recording.library,
        mediastore=recording.volume,
        forecast=recording.forecast,
        archives=recording.archives,
        snapshots=recording.snapshots,
        restarter=restarter,
        system=parts.ground.system,
        loading_image=parts.ground.loading_image,
    )


def build_application(
    parts: Parts, services: Services, *, pages: Handler, metrics: Handler
) -> web.Application:
    """Return what answers every request, each after the guard."""
    app = web.Application()
    create_api(
        app,
        services,
        pages=pages,
        sockets={
            "h5swsapi": parts.ws.handle,
            "h5swscmnapi": parts.hls.keep_alive,
            "h5srtcapi": parts.rtc.signal,
            "h5srtcapi2": parts.rtc.signal,
            "h5seventapi": parts.events.handle,
        },
        prefixes={
            "/metrics": Mount(metrics, AllSources(), access=Access.SCRAPE, role="Administrator"),
            "/hls/": Mount(parts.hls.handle, InPath(2)),
            "/mediastore/": Mount(parts.stored.files, InPath(2)),
            "/api/v1/playback/": Mount(parts.stored.vod, InPath(3, ".m3u8")),
            "/whep/": Mount(parts.rtc.whep, InPath(1), methods=WHEP_METHODS, access=Access.SOCKET),
        },
        trusted_origins=parts.ground.config.http.cors_origins,
    )
    return app
