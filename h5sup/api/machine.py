"""Chapter 5.2 of the manual, the machine's part: versions, codecs, load, and a fresh start."""

from __future__ import annotations

from aiohttp import web

from h5sup.api import present, present_system
from h5sup.api.call import Call, Caller, NoParameters
from h5sup.auth.guard import Access


async def get_version(caller: Caller, given: NoParameters) -> web.Response:
    """Say which programs run here."""
    del given
    return present.answer(present_system.version(caller.services.system))


async def get_codec_info(caller: Caller, given: NoParameters) -> web.Response:
    """Say what passed its trial."""
    del given
    services = caller.services
    found = await services.codecs.codecs()
    return present.answer(present_system.codecs(services.system, found))


async def get_run_info(caller: Caller, given: NoParameters) -> web.Response:
    """Say how busy the machine is."""
    del given
    services = caller.services
    load = await services.machine.sampled()
    return present.answer(
        present_system.run(
            load,
            services.machine.uptime_s,
            services.mediastore,
            services.forecast.newest,
            caller.may_see,
        )
    )


async def restart(caller: Caller, given: NoParameters) -> web.Response:
    """Start the server anew, once this is answered."""
    del given
    await caller.services.restarter.restart()
    return present.done("Restart successfully")


CALLS = (
    Call(
        name="GetVersion",
        section="",
        description="The versions of h5sup and of its ffmpeg.",
        parameters=NoParameters,
        answer=present_system.VersionAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_version,
    ),
    Call(
        name="GetCodecInfo",
        section="5.2.5",
        description="The processor, and the encoders and decoders that passed a trial of one "
        "second on this machine. They are tried once for each ffmpeg; till then it says to ask "
        "again.",
        parameters=NoParameters,
        answer=present_system.CodecAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_codec_info,
    ),
    Call(
        name="GetRunInfo",
        section="5.2.6",
        description="How long h5sup runs, and how busy the machine is: processor, memory, "
        "network cards, and the disk of `paths.data`. `fOwnCPUPercent` (of one core) and "
        "`nOwnMemoryBytes` are h5sup with its ffmpegs. Then the disk of recordings: its state, "
        "what lies there, the bytes of a day, and how many days are left until the oldest "
        "recordings go for want of room, in all and of each source that the caller may see.",
        parameters=NoParameters,
        answer=present_system.RunAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_run_info,
    ),
    Call(
        name="Restart",
        section="",
        description="Starts h5sup anew: viewers are told and come back, sessions end. It is "
        "refused when config.json has a mistake, with the mistake.",
        parameters=NoParameters,
        answer=present.Outcome,
        role="Administrator",
        access=Access.ACT,
        handler=restart,
    ),
)
