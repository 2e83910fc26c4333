"""Users of config.json and of the API together, on a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from h5sup.auth.passwords import Passwords, digest_of
from h5sup.auth.users import MAX_USERS, User, UserChange, Users
from h5sup.base.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from h5sup.config.model import UserConfig
from h5sup.store import store as store_module
from h5sup.store.store import Store

ADMIN = UserConfig(name="admin", password="12345", role="Administrator")
VERA = UserConfig(name="vera", password="just look")


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    made = Passwords(memory_kib=8, passes=1)
    yield made
    made.close()


Start = Callable[..., Awaitable[Users]]


@pytest.fixture
async def start(tmp_path: Path, passwords: Passwords) -> AsyncIterator[Start]:
    """Return what starts Users on the same data folder, as a restart does."""
    stores: list[Store] = []

    async def begin(*configured: UserConfig) -> Users:
        store = Store(tmp_path)
        stores.append(store)
        await store.open()
        users = Users(passwords, store)
        await users.apply(configured)
        return users

    yield begin
    for store in stores:
        await store.close()


async def opens(passwords: Passwords, users: Users, name: str, password: str) -> bool:
    user = users.find(name)
    return await passwords.verify(user.password_hash if user else None, digest_of(password))


def file_of(folder: Path) -> str:
    return (folder / store_module.FILE_NAME).read_text()


async def test_users_show_no_hash_and_no_password(start: Start) -> None:
    users = await start(UserConfig(name="a", password="top secret", role="Viewer"))

    user = users.get("a")
    assert user.password_hash.startswith("$argon2id$")
    assert repr(user) == "User(name='a', role='Viewer', sources=('*',))"
    assert users.find("A") is None


async def test_apply_tells_whose_sessions_must_end(start: Start) -> None:
    names = ("kept", "changed", "gone", "narrowed")
    users = await start(ADMIN, *(UserConfig(name=name, password="one") for name in names))
    before = users.get("kept")

    ended = await users.apply(
        [
            ADMIN,
            UserConfig(name="kept", password="one", role="Operator"),
            UserConfig(name="changed", password="two"),
            UserConfig(name="narrowed", password="one", sources=("front",)),
            UserConfig(name="new", password="three"),
        ]
    )

    assert ended == {"changed", "gone", "narrowed"}
    after = users.get("kept")
    assert (after.password_hash, after.role) == (before.password_hash, "Operator")


@pytest.mark.parametrize(
    ("password", "is_default"),
    [("12345", True), (digest_of("12345").upper(), True), ("better", False)],
)
async def test_default_password_is_known_in_both_forms(
    start: Start, password: str, is_default: bool
) -> None:
    users = await start(UserConfig(name="admin", password=password, role="Administrator"))

    assert users.has_default_password is is_default


async def test_created_user_survives_a_restart(start: Start, passwords: Passwords) -> None:
    users = await start(ADMIN)
    await users.create("olga", "operate it", "Operator", ("front", "nvr--*"))

    again = await start(ADMIN)

    olga = again.get("olga")
    assert (olga.role, olga.sources, olga.is_fixed) == ("Operator", ("front", "nvr--*"), False)
    assert await opens(passwords, again, "olga", "operate it")
    assert [user.name for user in again.all()] == ["admin", "olga"]


async def test_only_the_hash_of_a_password_is_stored(start: Start, tmp_path: Path) -> None:
    users = await start(ADMIN, VERA)
    await users.create("olga", "operate it", "Operator")
    await users.update("vera", UserChange(password="look closely"))
    await users.update("admin", UserChange(password="stronger than that"))

    text = file_of(tmp_path)

    for password in ("operate it", "look closely", "stronger than that", "12345", "just look"):
        assert password not in text
        assert digest_of(password) not in text
    # Two per change of an entry: the password's, and the entry's to see edits by.
    assert text.count("$argon2id$") == 5


async def test_new_password_wins_over_config_json_also_after_restarts(
    start: Start, passwords: Passwords
) -> None:
    users = await start(ADMIN)
    await users.update("admin", UserChange(password="better"))
    assert not users.has_default_password

    for _ in range(2):
        users = await start(ADMIN)

        assert await opens(passwords, users, "admin", "better")
        assert not await opens(passwords, users, "admin", "12345")
        assert not users.has_default_password
        assert users.get("admin").is_fixed


@pytest.mark.parametrize(
    "edit",
    [{"password": "edited"}, {"role": "Operator"}, {"sources": ("front",)}],
    ids=lambda edit: next(iter(edit)),
)
async def test_edited_entry_of_config_json_wins_again(
    start: Start, passwords: Passwords, edit: dict[str, object], tmp_path: Path
) -> None:
    users = await start(ADMIN, VERA)
    await users.update("vera", UserChange(password="better", sources=("back",)))
    edited = msgspec.structs.replace(VERA, **edit)

    users = await start(ADMIN, edited)

    vera = users.get("vera")
    assert (vera.role, vera.sources) == (edited.role, edited.sources)
    assert await opens(passwords, users, "vera", edited.password)
    assert "vera" not in file_of(tmp_path)


async def test_edit_while_it_runs_wins_and_ends_sessions(
    start: Start, passwords: Passwords
) -> None:
    users = await start(ADMIN, VERA)
    await users.update("vera", UserChange(password="better"))
    assert await users.apply([ADMIN, VERA]) == set()
    assert await opens(passwords, users, "vera", "better")

    ended = await users.apply([ADMIN, msgspec.structs.replace(VERA, role="Operator")])

    assert ended == {"vera"}
    assert await opens(passwords, users, "vera", "just look")


async def test_user_taken_out_of_config_json_is_gone_with_what_the_api_changed(
    start: Start,
) -> None:
    users = await start(ADMIN, VERA)
    await users.update("vera", UserChange(password="better"))

    users = await start(ADMIN)

    assert users.find("vera") is None
    assert (await start(ADMIN, VERA)).get("vera").role == "Viewer"


async def test_entry_of_config_json_takes_the_place_of_a_created_user(
    start: Start, passwords: Passwords
) -> None:
    users = await start(ADMIN)
    await users.create("vera", "of the API", "Operator")

    users = await start(ADMIN, VERA)

    assert users.get("vera").role == "Viewer"
    assert await opens(passwords, users, "vera", "just look")
    assert (await start(ADMIN)).find("vera") is None


async def test_change_of_role_keeps_config_jsons_password(
    start: Start, passwords: Passwords
) -> None:
    users = await start(ADMIN, VERA)
    await users.update("vera", UserChange(role="Administrator"))
    await users.update("admin", UserChange(sources=("*",)))

    users = await start(ADMIN, VERA)

    assert users.get("vera").role == "Administrator"
    assert await opens(passwords, users, "vera", "just look")
    assert users.has_default_password  # the admin's


async def test_unknown_and_known_names_are_told_apart(start: Start) -> None:
    users = await start(ADMIN)

    with pytest.raises(ConflictError, match="already"):
        await users.create("admin", "x", "Viewer")
    for change in (users.delete("nobody"), users.update("nobody", UserChange(role="Viewer"))):
        with pytest.raises(NotFoundError, match="no user of this name"):
            await change


async def test_user_of_config_json_is_not_deleted(start: Start) -> None:
    users = await start(ADMIN, VERA)

    with pytest.raises(ConflictError, match=r"stands in config\.json"):
        await users.delete("vera")

    assert users.find("vera")


async def test_last_administrator_is_neither_demoted_nor_deleted(start: Start) -> None:
    users = await start(ADMIN)
    await users.create("second", "another", "Administrator")
    await users.update("admin", UserChange(role="Viewer"))

    with pytest.raises(ConflictError, match="last Administrator"):
        await users.update("second", UserChange(role="Operator"))
    with pytest.raises(ConflictError, match="last Administrator"):
        await users.delete("second")

    await users.update("admin", UserChange(role="Administrator"))
    await users.delete("second")
    assert [user.name for user in users.all()] == ["admin"]


async def test_config_json_never_leaves_a_server_without_administrator(start: Start) -> None:
    users = await start(ADMIN)
    await users.create("second", "another", "Administrator")
    await users.update("admin", UserChange(role="Viewer"))

    users = await start(ADMIN, UserConfig(name="second", password="seeded", role="Viewer"))

    assert users.get("admin").role == "Administrator"


@pytest.mark.parametrize("password", ["12345", digest_of("12345"), "", digest_of("").upper()])
async def test_default_and_empty_passwords_are_not_taken(start: Start, password: str) -> None:
    users = await start(ADMIN)

    with pytest.raises(InvalidError, match="neither empty nor the default"):
        await users.create("olga", password, "Viewer")
    with pytest.raises(InvalidError, match="neither empty nor the default"):
        await users.update("admin", UserChange(password=password))


async def test_administrator_sees_every_source(start: Start) -> None:
    users = await start(ADMIN)
    with pytest.raises(InvalidError, match="sees every source"):
        await users.create("second", "another", "Administrator", ("front",))
    await users.create("olga", "operate it", "Operator", ("front",))
    with pytest.raises(InvalidError, match="sees every source"):
        await users.update("olga", UserChange(role="Administrator", sources=("front",)))

    await users.update("olga", UserChange(role="Administrator"))

    assert users.get("olga").sources == ("*",)


async def test_users_are_bounded(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("h5sup.auth.users.MAX_USERS", 3)
    assert MAX_USERS == 1000
    users = await start(ADMIN, VERA)
    await users.create("third", "x", "Viewer")

    with pytest.raises(ConflictError, match="3 users already"):
        await users.create("fourth", "x", "Viewer")


async def test_change_that_can_not_be_stored_changes_nothing(
    start: Start, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = await start(ADMIN, VERA)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("h5sup.store.storage._write_synced", full)
    for change in (
        users.create("olga", "operate it", "Operator"),
        users.update("vera", UserChange(password="better")),
    ):
        with pytest.raises(UnavailableError, match="No space left"):
            await change

    assert users.find("olga") is None
    assert await opens(passwords, users, "vera", "just look")


async def test_row_that_is_no_user_is_left_out(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    await store.open()
    await store.save_user({"name": "odd", "role": "King"})
    await store.close()

    users = await start(ADMIN)

    assert users.all() == [
        User(
            name="admin",
            role="Administrator",
            password_hash=users.get("admin").password_hash,
            is_fixed=True,
            has_default_password=True,
        )
    ]
    assert "stored user 'odd' is left out" in caplog.text
