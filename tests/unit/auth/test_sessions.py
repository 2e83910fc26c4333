from __future__ import annotations

from h5sup.auth.sessions import Sessions


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_ids_are_random_and_known_to_nobody_else() -> None:
    sessions = Sessions(600)
    ids = {sessions.open("a") for _ in range(100)}

    assert len(ids) == 100
    assert not any(one in repr(vars(sessions)) for one in ids)


def test_unused_session_ends_after_its_time() -> None:
    clock = Clock()
    sessions = Sessions(600, clock=clock)
    session_id = sessions.open("a")

    clock.now = 599
    assert sessions.find(session_id) is not None
    clock.now = 599 + 599
    assert sessions.find(session_id) is not None
    clock.now = 599 + 599 + 600
    assert sessions.find(session_id) is None
    assert len(sessions) == 0


def test_unknown_ids_are_nobody() -> None:
    sessions = Sessions(600)
    sessions.open("a")

    for session_id in ("", "x", "\udcff", "0" * 10_000):
        assert sessions.find(session_id) is None


def test_the_longest_idle_gives_way_to_a_new_one() -> None:
    clock = Clock()
    sessions = Sessions(600, limit=3, clock=clock)
    first, second, third = (sessions.open(user) for user in "abc")
    clock.now = 1
    sessions.find(first)

    fourth = sessions.open("d")

    assert sessions.find(second) is None
    assert all(sessions.find(one) for one in (first, third, fourth))
    assert len(sessions) == 3


def test_one_account_pushes_out_only_its_own() -> None:
    sessions = Sessions(600, limit=100, limit_per_user=2)
    admin = sessions.open("admin")
    flood = [sessions.open("viewer") for _ in range(50)]

    assert sessions.find(admin) is not None
    assert [one for one in flood if sessions.find(one)] == flood[-2:]


def test_expired_ones_make_room_first() -> None:
    clock = Clock()
    sessions = Sessions(600, limit=2, clock=clock)
    sessions.open("a")
    clock.now = 500
    second = sessions.open("b")
    clock.now = 700

    sessions.open("c")

    assert sessions.find(second) is not None
    assert len(sessions) == 2


def test_closing_a_user_ends_all_of_its_sessions() -> None:
    sessions = Sessions(600)
    first, second, other = sessions.open("a"), sessions.open("a"), sessions.open("b")
    closed = sessions.find(first)
    assert closed is not None

    sessions.close(closed)
    sessions.close(closed)
    sessions.close_user("a")

    assert (sessions.find(first), sessions.find(second)) == (None, None)
    assert sessions.find(other) is not None


def test_what_a_session_opened_ends_with_it_or_its_user() -> None:
    sessions, ended = Sessions(600), list[str]()
    first, second, other = (sessions.find(sessions.open(user)) for user in "aab")
    assert first is not None
    assert second is not None
    assert other is not None
    for name, session in (("first", first), ("second", second), ("other", other)):
        sessions.watch(session, lambda name=name: ended.append(name))  # type: ignore[misc]  # bound now
    sessions.watch(second, lambda: ended.append("called off"))()

    sessions.close(first)
    sessions.close(first)
    assert ended == ["first"]
    sessions.close_user("a", keep=second)
    assert ended == ["first"]
    sessions.close_user("a")
    assert ended == ["first", "second"]
    sessions.close_user("b")
    assert ended == ["first", "second", "other"]
    assert not sessions._watches


def test_session_that_expired_ends_nothing_until_its_user_is_closed() -> None:
    clock, ended = Clock(), list[str]()
    sessions = Sessions(600, clock=clock)
    session_id = sessions.open("a")
    session = sessions.find(session_id)
    assert session is not None
    sessions.watch(session, lambda: ended.append("viewing"))

    clock.now = 700
    assert sessions.find(session_id) is None
    assert not ended
    sessions.close_user("a")

    assert ended == ["viewing"]


def test_closing_a_user_keeps_one_session() -> None:
    sessions = Sessions(600)
    ids = [sessions.open("a") for _ in range(3)]
    kept = sessions.find(ids[1])

    sessions.close_user("a", keep=kept)

    assert [sessions.find(one) is not None for one in ids] == [False, True, False]
    assert len(sessions) == 1
