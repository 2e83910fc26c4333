"""New fragments, from samples and their bytes (ISO/IEC 14496-12 §8.8)."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

from h5sup.formats.isobmff.boxes import BOX
from h5sup.formats.isobmff.fragment import (
    TFHD_DEFAULT_BASE_IS_MOOF,
    TRUN_CTS_OFFSET,
    TRUN_DATA_OFFSET,
    TRUN_DURATION,
    TRUN_FLAGS,
    TRUN_SIZE,
    Sample,
    TrackRun,
    run_payload,
)
from h5sup.formats.isobmff.track import Track


class NewRun(NamedTuple):
    """A track's share of a fragment to build; `payload` holds its samples one after another."""

    track: Track
    dts: int
    samples: Sequence[Sample]
    payload: bytes


def new_run(run: TrackRun, data: bytes, dts: int | None = None) -> NewRun:
    """Return a run of a fragment for another one, at another time if that is given."""
    return NewRun(run.track, run.dts if dts is None else dts, run.samples, run_payload(data, run))


def build_fragment(sequence: int, *runs: NewRun) -> bytes:
    """Return a `moof+mdat` with one run per track; the samples' `start` is not used."""
    trafs = [_build_traf(run, 0) for run in runs]
    moof_size = 8 + 16 + sum(len(traf) for traf in trafs)
    offset = moof_size + 8
    parts = [BOX.pack(moof_size, b"moof"), Struct(">I4sII").pack(16, b"mfhd", 0, sequence)]
    for run in runs:
        parts.append(_build_traf(run, offset))
        offset += len(run.payload)
    parts.append(BOX.pack(8 + offset - moof_size - 8, b"mdat"))
    parts.extend(run.payload for run in runs)
    return b"".join(parts)


def _build_traf(run: NewRun, data_offset: int) -> bytes:
    has_cts = any(sample.cts_offset for sample in run.samples)
    given = TRUN_DATA_OFFSET | TRUN_DURATION | TRUN_SIZE | TRUN_FLAGS
    given |= TRUN_CTS_OFFSET if has_cts else 0
    entries = bytearray()
    for sample in run.samples:
        entries += Struct(">III").pack(sample.duration, sample.size, sample.flags)
        if has_cts:
            entries += Struct(">i").pack(sample.cts_offset)
    trun = BOX.pack(20 + len(entries), b"trun") + Struct(">III").pack(
        given | 1 << 24,  # version 1: composition offsets are signed
        len(run.samples),
        data_offset,
    )
    tfhd = Struct(">I4sII").pack(16, b"tfhd", TFHD_DEFAULT_BASE_IS_MOOF, run.track.id)
    tfdt = Struct(">I4sIQ").pack(20, b"tfdt", 1 << 24, run.dts)
    size = 8 + len(tfhd) + len(tfdt) + len(trun) + len(entries)
    return BOX.pack(size, b"traf") + tfhd + tfdt + trun + bytes(entries)
