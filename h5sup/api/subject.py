"""Which source a request is about, and the one place that keeps it from who may not see it.

Whoever may not see a source gets the request answered as if it asked for a source that does not
exist, by the same code, so that no answer tells the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from h5sup.api.target import Target
from h5sup.auth.guard import Identity
from h5sup.base.errors import ForbiddenError

NO_TOKEN = "*"  # noqa: S105 (no source can have it: it is no token)
PARAMETER = "token"


class CallToken(Enum):
    """What a call's parameter `token` names."""

    SOURCE = "source"
    """A source there is; calls without the parameter are about none."""
    DEVICE = "device"
    """A device there is; who may see one of its channels may see it."""
    NEW = "new"
    """A source to be made."""
    OTHER = "other"
    """No source; what it shows of sources, its handler keeps to those that may be seen."""


@dataclass(frozen=True, slots=True)
class InQuery:
    """An output that names its source by `?token=`, or shows what may be seen of all."""


@dataclass(frozen=True, slots=True)
class InPath:
    """An output that names its source in its path."""

    segment: int
    """0 is what follows the first slash."""
    suffix: str = ""
    """What may follow the token where it ends the path: `front.m3u8`."""


@dataclass(frozen=True, slots=True)
class AllSources:
    """An output that shows every source, whoever asks."""


Place = InQuery | InPath | AllSources


def veil(target: Target, place: Place, identity: Identity) -> Target:
    """Return the target as an output may see it; raises ForbiddenError."""
    if identity.sees_all:
        return target
    match place:
        case AllSources():
            raise ForbiddenError("this shows every source, and you may see some of them alone")
        case InQuery():
            return replace(target, parameters=_veiled(target.parameters, identity))
        case InPath(segment=index, suffix=suffix):
            return replace(target, path=_veil_path(target.path, index + 1, suffix, identity))


def veil_call(
    parameters: Mapping[str, str], names: CallToken, identity: Identity
) -> Mapping[str, str]:
    """Return a call's parameters as its handler may see them; raises ForbiddenError."""
    if identity.sees_all or names is CallToken.OTHER:
        return parameters
    if names is CallToken.SOURCE:
        return _veiled(parameters, identity)
    if names is CallToken.DEVICE:
        token = parameters.get(PARAMETER)
        if token is None or identity.may_see_device(token):
            return parameters
        return {**parameters, PARAMETER: NO_TOKEN}
    if not identity.may_see(parameters.get(PARAMETER, "")):
        raise ForbiddenError("you may not see a source of this token, so you may not make it")
    return parameters


def _veil_path(path: str, index: int, suffix: str, identity: Identity) -> str:
    segments = path.split("/")
    if index >= len(segments):
        return path
    # a token may itself end like the suffix: only the end of a path carries one
    ending = suffix if index == len(segments) - 1 and segments[index].endswith(suffix) else ""
    if not identity.may_see(segments[index].removesuffix(ending)):
        segments[index] = NO_TOKEN + ending
    return "/".join(segments)


def _veiled(parameters: Mapping[str, str], identity: Identity) -> Mapping[str, str]:
    token = parameters.get(PARAMETER)
    if token is None or identity.may_see(token):
        return parameters
    return {**parameters, PARAMETER: NO_TOKEN}
