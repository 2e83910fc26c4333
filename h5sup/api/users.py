"""Chapter 5.2.7 of the manual and what dashboards call beside it: users."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from h5sup.api import present
from h5sup.api.call import Call, Caller, NoParameters
from h5sup.api.system import addresses_of
from h5sup.auth.guard import Access, Identity
from h5sup.auth.sight import parse_patterns
from h5sup.auth.users import UserChange
from h5sup.config.model import Role

Name = Annotated[str, Meta(max_length=64)]
Password = Annotated[str, Meta(max_length=128, description="in clear, or its MD5 in hex")]
Patterns = Annotated[
    str,
    Meta(
        max_length=8000,
        description="tokens of the sources to see, with commas; `nvr--*` means every one that "
        "begins so, `*` all",
    ),
]


class UserParameters(Struct, frozen=True):
    """Which user."""

    user: Name


class UserInfoParameters(Struct, frozen=True):
    """Which user, or oneself."""

    user: Annotated[str, Meta(max_length=64, description="empty means oneself")] = ""


class CreateUserParameters(Struct, frozen=True):
    """A user to be."""

    user: Name
    password: Password
    usertype: Role = "Viewer"
    sources: Patterns = "*"


class UpdateUserParameters(Struct, frozen=True):
    """What to change of a user."""

    user: Name
    oldpassword: Annotated[
        str, Meta(max_length=128, description="needed for one's own; in clear, or its MD5 in hex")
    ] = ""
    newpassword: Annotated[
        str, Meta(max_length=128, description="in clear, or its MD5 in hex; empty keeps the old")
    ] = ""
    usertype: Role | None = None
    sources: Annotated[
        str,
        Meta(
            max_length=8000,
            description="as CreateUser takes them, by Administrators; `,` means none, empty "
            "keeps what it is",
        ),
    ] = ""


async def get_user_list(caller: Caller, given: NoParameters) -> web.Response:
    """List all users."""
    del given
    users = caller.services.administration.all(_identity(caller))
    return present.answer(present.UsersAnswer([present.user(one) for one in users]))


async def get_user_info(caller: Caller, given: UserInfoParameters) -> web.Response:
    """Say what a user may."""
    found = caller.services.administration.find(_identity(caller), given.user)
    return present.answer(present.user_info(found))


async def create_user(caller: Caller, given: CreateUserParameters) -> web.Response:
    """Add a user."""
    await caller.services.administration.create(
        _identity(caller),
        given.user,
        given.password,
        given.usertype,
        parse_patterns(given.sources),
    )
    return present.done("Create user successfully")


async def update_user(caller: Caller, given: UpdateUserParameters) -> web.Response:
    """Change a user."""
    change = UserChange(
        password=given.newpassword or None,
        role=given.usertype,
        sources=parse_patterns(given.sources) if given.sources else None,
    )
    await caller.services.administration.update(
        _identity(caller),
        given.user,
        change,
        old_password=given.oldpassword,
        addresses=addresses_of(caller.request),
    )
    return present.done("Update user successfully")


async def delete_user(caller: Caller, given: UserParameters) -> web.Response:
    """Forget a user."""
    await caller.services.administration.delete(_identity(caller), given.user)
    return present.done("Delete user successfully")


def _identity(caller: Caller) -> Identity:
    assert caller.identity is not None
    return caller.identity


CALLS = (
    Call(
        name="UpdateUser",
        section="5.2.7",
        description="Changes a user: one's own password by the old one, and by Administrators "
        "all of any user without the old one. The user's sessions end, but for the caller's.",
        parameters=UpdateUserParameters,
        answer=present.Outcome,
        role="Viewer",
        access=Access.ACT,
        handler=update_user,
    ),
    Call(
        name="GetUserInfo",
        section="",
        description="Says what a user may; of others to Administrators alone.",
        parameters=UserInfoParameters,
        answer=present.UserInfoAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_user_info,
    ),
    Call(
        name="GetUserList",
        section="",
        description="Lists the users, never with a password.",
        parameters=NoParameters,
        answer=present.UsersAnswer,
        role="Administrator",
        access=Access.READ,
        handler=get_user_list,
    ),
    Call(
        name="CreateUser",
        section="",
        description="Adds a user. It is kept in data/h5sup.json with the argon2 hash of its "
        "password.",
        parameters=CreateUserParameters,
        answer=present.Outcome,
        role="Administrator",
        access=Access.ACT,
        handler=create_user,
    ),
    Call(
        name="DeleteUser",
        section="",
        description="Deletes a user that was added by API; one of config.json and the last "
        "Administrator are refused.",
        parameters=UserParameters,
        answer=present.Outcome,
        role="Administrator",
        access=Access.ACT,
        handler=delete_user,
    ),
)
