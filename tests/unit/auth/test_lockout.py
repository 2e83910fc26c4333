from __future__ import annotations

from h5sup.auth.lockout import FORGET_AFTER_S, LONGEST_LOCK_S, Lockout


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def fail(lockout: Lockout, name: str, times: int) -> None:
    for _ in range(times):
        lockout.note_fault(name)


def test_lock_comes_with_the_fifth_fault_and_doubles() -> None:
    clock = Clock()
    lockout = Lockout(clock=clock)
    locks = []
    for _ in range(20):
        lockout.note_fault("a")
        locks.append(lockout.locked_s("a"))
        clock.now += lockout.locked_s("a")

    assert locks[:8] == [0, 0, 0, 0, 30, 60, 120, 240]
    assert locks[-1] == LONGEST_LOCK_S


def test_success_forgets_all_faults() -> None:
    lockout = Lockout(clock=Clock())
    fail(lockout, "a", 4)

    lockout.note_success("a")
    lockout.note_success("never seen")

    assert (lockout.faults("a"), len(lockout)) == (0, 0)


def test_old_faults_are_forgotten() -> None:
    clock = Clock()
    lockout = Lockout(clock=clock)
    fail(lockout, "a", 4)
    clock.now = FORGET_AFTER_S + 1

    lockout.note_fault("a")

    assert lockout.faults("a") == 1


def test_flood_of_names_stays_bounded_and_frees_no_locked_one() -> None:
    clock = Clock()
    lockout = Lockout(limit=50, clock=clock)
    fail(lockout, "admin", 5)
    for number in range(1000):
        clock.now += 0.001
        lockout.note_fault(f"name {number}")

    assert len(lockout) == 50
    assert lockout.locked_s("admin") > 0
    assert lockout.faults("name 999") == 1
