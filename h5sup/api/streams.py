"""What dashboards ask of sources beyond the manual: lists, streams, logs."""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta, Struct, field

from h5sup.api import present, present_system
from h5sup.api.call import Call, Caller
from h5sup.api.sources import GetSrcParameters, Token, TokenParameters, list_sources
from h5sup.auth.guard import Access
from h5sup.base.errors import NotFoundError

OF_DEVICES = frozenset({"H5_CLOUD", "H5_CH_DEV", "H5_CH_GB"})


class StreamParameters(Struct, frozen=True):
    """One input of a source."""

    token: Token
    input_name: Annotated[Literal["main", "sub"], Meta(description="which input")] = field(
        name="stream", default="main"
    )


async def get_src_without_device(caller: Caller, given: GetSrcParameters) -> web.Response:
    """List the sources that are no channels of devices."""
    listed = [one for one in list_sources(caller, given) if one.type not in OF_DEVICES]
    return present.answer(present.SourcesAnswer(listed))


async def get_vid_stream_status(caller: Caller, given: StreamParameters) -> web.Response:
    """Say what an input carries."""
    source = caller.services.sources.get(given.token)
    feed = source.main if given.input_name == "main" else source.sub
    if feed is None:
        raise NotFoundError(f"source {given.token!r} has no second input")
    return present.answer(present_system.carried(feed))


async def get_src_log(caller: Caller, given: TokenParameters) -> web.Response:
    """Show what the ffmpegs of a source said."""
    source = caller.services.sources.get(given.token)
    return present.answer(present_system.log(given.token, source.feeds))


CALLS = (
    Call(
        name="GetSrcWithoutDevice",
        section="",
        description="As GetSrc, without the channels of devices.",
        parameters=GetSrcParameters,
        answer=present.SourcesAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_src_without_device,
    ),
    Call(
        name="GetSrcCamera",
        section="",
        description="As GetSrc, without the channels of devices, which dashboards list apart.",
        parameters=GetSrcParameters,
        answer=present.SourcesAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_src_without_device,
    ),
    Call(
        name="GetVidStreamStatus",
        section="",
        description="What an input carries now. Rates are bits a second. While nothing comes "
        "all is 0.",
        parameters=StreamParameters,
        answer=present_system.StreamAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_vid_stream_status,
    ),
    Call(
        name="GetSrcLog",
        section="",
        description="The last 200 lines that the ffmpegs of a source wrote, oldest first, "
        "without passwords.",
        parameters=TokenParameters,
        answer=present_system.LogAnswer,
        role="Operator",
        access=Access.READ,
        handler=get_src_log,
    ),
)
