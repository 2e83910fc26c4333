"""The headers of every answer: what browsers may do with it, and which other sites may read it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

METHODS = "GET, HEAD, POST, PATCH, DELETE, OPTIONS"
EXPOSED = "Content-Length, Content-Range, Location, ETag, Link"
PREFLIGHT_VALID_S = 600

OnPrepare = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def build_policy(trusted_origins: tuple[str, ...]) -> str:
    """Return the Content-Security-Policy; trusted sites may also show our pages in a frame."""
    frames = " ".join(("'self'", *trusted_origins))
    return "; ".join(
        (
            "default-src 'self'",
            "media-src 'self' blob:",
            "img-src 'self' data: blob:",
            "connect-src 'self' ws: wss:",
            "worker-src 'self' blob:",  # hls.js makes its worker from a blob
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            f"frame-ancestors {frames}",
        )
    )


def add_headers(trusted_origins: tuple[str, ...]) -> OnPrepare:
    """Return what gives every answer its headers before it leaves."""
    policy = build_policy(trusted_origins)

    async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers["Server"] = "h5sup"
        headers["Content-Security-Policy"] = policy
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        # Pages and HLS say themselves what may be kept; all else is for one pair of eyes.
        headers.setdefault("Cache-Control", "private, no-store")
        if not trusted_origins:
            return
        headers.add("Vary", "Origin")
        origin = request.headers.get("Origin", "")
        if origin in trusted_origins:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = EXPOSED

    return on_prepare


def preflight() -> web.Response:
    """Answer OPTIONS; without add_headers() naming the origin it permits nothing."""
    return web.Response(
        status=204,
        headers={
            "Allow": METHODS,
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, Range",
            "Access-Control-Max-Age": str(PREFLIGHT_VALID_S),
        },
    )
