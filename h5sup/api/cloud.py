"""Chapter 5.6 of the manual and what dashboards ask of other servers and their devices.

This server stands alone: it has registered nowhere, nobody with it, and the lists are empty.
"""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct, field

from h5sup.api import present
from h5sup.api.call import Call, Caller, NoParameters
from h5sup.api.sources import Token
from h5sup.api.subject import CallToken
from h5sup.auth.guard import Access
from h5sup.base.errors import NotFoundError


class DeviceParameters(Struct, frozen=True):
    """One device."""

    token: Annotated[Token, Meta(description="empty means all")] = ""
    getonline: bool = True


class CloudAnswer(Struct, frozen=True, kw_only=True):
    """With which server this one is registered."""

    is_enabled: bool = field(name="bEnable", default=False)
    server_name: str = field(name="strServerName", default="")
    host: str = field(name="strCloudIp", default="")
    port: str = field(name="strCloudPort", default="")
    is_tls: bool = field(name="bSSL", default=False)
    user: str = field(name="strUser", default="")
    is_online: bool = field(name="bOnline", default=False)


class ServerAnswer(Struct, frozen=True):
    """A server that is registered here."""

    token: str = field(name="strServerToken")
    host: str = field(name="strServerIp")
    is_online: bool = field(name="bOnline")


class ServersAnswer(Struct, frozen=True):
    """All servers that are registered here."""

    servers: list[ServerAnswer] = field(name="server")


class ClusterAnswer(Struct, frozen=True):
    """Whether this server is one of several."""

    is_enabled: bool = field(name="bEnable")


class DeviceAnswer(Struct, frozen=True):
    """A device, the sources of which are its channels."""

    name: str = field(name="strName")
    token: str = field(name="strToken")
    is_online: bool = field(name="bOnline")


class DevicesAnswer(Struct, frozen=True):
    """A list of devices."""

    devices: list[DeviceAnswer] = field(name="dev")


class SummaryAnswer(Struct, frozen=True, kw_only=True):
    """How many there are, and how many of them give pictures."""

    devices: int = field(name="nDeviceCount")
    devices_online: int = field(name="nDeviceOnline")
    sources: int = field(name="nSrcCount")
    sources_online: int = field(name="nSrcOnline")


async def get_cloud_client_info(caller: Caller, given: NoParameters) -> web.Response:
    """Say with which server this one is registered."""
    del caller, given
    return present.answer(CloudAnswer())


async def get_server_list(caller: Caller, given: NoParameters) -> web.Response:
    """List the servers that are registered here."""
    del caller, given
    return present.answer(ServersAnswer([]))


async def get_cluster_status(caller: Caller, given: NoParameters) -> web.Response:
    """Say whether this server is one of several."""
    del caller, given
    return present.answer(ClusterAnswer(is_enabled=False))


async def get_cloud_device(caller: Caller, given: NoParameters) -> web.Response:
    """List the devices of other servers."""
    del caller, given
    return present.answer(DevicesAnswer([]))


async def get_cloud_device_src(caller: Caller, given: DeviceParameters) -> web.Response:
    """List the channels of other servers' devices."""
    del caller
    if given.token:
        raise NotFoundError(f"no server has registered a device {given.token!r}")
    return present.answer(present.SourcesAnswer([]))


async def get_device_summary(caller: Caller, given: NoParameters) -> web.Response:
    """Count devices and sources."""
    del given
    devices = [
        one for one in caller.services.devices.devices() if caller.may_see_device(one.config.token)
    ]
    listed = caller.services.sources.sources()
    found = [one for one in listed if caller.may_see(one.config.token)]
    online = sum(one.is_online for one in found)
    return present.answer(
        SummaryAnswer(
            devices=len(devices),
            devices_online=sum(one.state.is_online for one in devices),
            sources=len(found),
            sources_online=online,
        )
    )


CALLS = (
    Call(
        name="GetCloudClientInfo",
        section="5.6.1",
        description="With which server this one is registered: with none.",
        parameters=NoParameters,
        answer=CloudAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_cloud_client_info,
    ),
    Call(
        name="GetServerList",
        section="5.6.2",
        description="The servers that are registered here: none.",
        parameters=NoParameters,
        answer=ServersAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_server_list,
    ),
    Call(
        name="cluster/GetClusterStatus",
        section="",
        description="Whether this server is one of several: it stands alone.",
        parameters=NoParameters,
        answer=ClusterAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_cluster_status,
    ),
    Call(
        name="GetCloudDevice",
        section="",
        description="The devices of other servers that are registered here: none.",
        parameters=NoParameters,
        answer=DevicesAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_cloud_device,
    ),
    Call(
        name="GetCloudDeviceSrc",
        section="",
        description="The channels of devices of other servers: none.",
        parameters=DeviceParameters,
        answer=present.SourcesAnswer,
        role="Viewer",
        access=Access.READ,
        token=CallToken.OTHER,  # a device of another server
        handler=get_cloud_device_src,
    ),
    Call(
        name="GetDeviceSummary",
        section="",
        description="How many devices and sources there are, and how many of them are online.",
        parameters=NoParameters,
        answer=SummaryAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_device_summary,
    ),
)
