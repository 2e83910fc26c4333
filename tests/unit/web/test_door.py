"""Who gets a place when there are few."""

from __future__ import annotations

import logging

import pytest

from h5sup.web.door import Door, group_of


class Guest:
    def __init__(self, *, is_idle: bool = True) -> None:
        self.is_idle = is_idle
        self.was_cut_off = False

    def cut_off(self) -> None:
        self.was_cut_off = True


def test_all_who_fit_are_let_in() -> None:
    door = Door(limit=3, per_address=0)
    guests = [Guest() for _ in range(3)]
    assert all(door.enter(guest, "192.0.2.1") for guest in guests)
    assert door.connections == 3
    assert not any(guest.was_cut_off for guest in guests)


def test_the_oldest_that_asks_nothing_gives_way() -> None:
    door = Door(limit=3, per_address=0)
    busy, old, young, new = Guest(is_idle=False), Guest(), Guest(), Guest()
    for guest in (busy, old, young, new):
        assert door.enter(guest, "192.0.2.1")
    assert [one.was_cut_off for one in (busy, old, young, new)] == [False, True, False, False]
    assert (door.connections, door.gave_way, door.refused) == (3, 1, 0)
    door.leave(old)  # its connection is only now lost
    assert door.connections == 3


def test_nobody_who_is_served_gives_way(caplog: pytest.LogCaptureFixture) -> None:
    door = Door(limit=2, per_address=0)
    guests = [Guest(is_idle=False), Guest(is_idle=False)]
    assert all(door.enter(guest, "192.0.2.1") for guest in guests)
    for _ in range(100):
        assert not door.enter(Guest(), "192.0.2.2")
    assert (door.connections, door.refused) == (2, 100)
    said = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert len(said) == 1  # a flood does not fill the log
    assert "192.0.2.2" in said[0].getMessage()
    assert "limits.connections" in said[0].getMessage()
    door.leave(guests[0])
    assert door.enter(Guest(), "192.0.2.2")


def test_one_address_takes_its_own_places_alone() -> None:
    door = Door(limit=100, per_address=2)
    other, first, second = Guest(), Guest(), Guest(is_idle=False)
    assert door.enter(other, "192.0.2.2")
    assert door.enter(first, "192.0.2.1")
    assert door.enter(second, "192.0.2.1")
    assert door.enter(Guest(is_idle=False), "192.0.2.1")
    assert (first.was_cut_off, other.was_cut_off) == (True, False)
    assert not door.enter(Guest(), "192.0.2.1")
    assert door.enter(Guest(), "192.0.2.3")


def test_this_machine_is_bounded_by_the_total_alone() -> None:
    door = Door(limit=3, per_address=1)
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert door.enter(Guest(is_idle=False), address)
    assert not door.enter(Guest(), "127.0.0.1")


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "192.0.2.1", False),
    ],
)
def test_one_client_is_one_address_or_one_network(one: str, other: str, is_same: bool) -> None:
    assert (group_of(one) == group_of(other)) is is_same
