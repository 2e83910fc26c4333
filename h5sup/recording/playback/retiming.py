"""Recorded fragments laid on one viewer's timeline: it starts at 0 and never jumps. Pure.

Players that never seek stop for good at a hole or at times that go back. So the timeline is the
running sum of what was laid, over jumps, speeds and files. At speed 1 sound is kept and held to
the picture by whole frames. At other speeds it is silence of true frame length: frames that claim
to last half as long as they do are decoded all the same, and players drop or repeat them as they
please, while a sound track that ends stops the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from h5sup.bus.fragment import Fragment, read_fragment, run_of
from h5sup.formats.aac import parse_config
from h5sup.formats.isobmff.boxes import U32, U64
from h5sup.formats.isobmff.build import NewRun, build_fragment
from h5sup.formats.isobmff.fragment import (
    SAMPLE_IS_NON_SYNC,
    SYNC_FLAGS,
    Sample,
    TrackRun,
    run_payload,
)
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.squeeze import squeeze
from h5sup.formats.isobmff.track import Track
from h5sup.recording.playback.supply import StoredFragment

NORMAL = Fraction(1)
SEQUENCE_AT = 20  # of mfhd, the first box of the moof
SOUND_GONE_S = Fraction(1, 2)  # sound this far behind the picture has stopped
MAX_SILENT_FRAMES = 1000  # in one fragment; more comes with the next


def find_silence(init: InitSegment) -> tuple[bytes, int] | None:
    """Return a frame of silence for the sound of an init segment and how long it lasts, if any."""
    if init.audio is None or not init.audio.audio_config:
        return None
    config = parse_config(init.audio.audio_config)
    return None if config.silent_frame is None else (config.silent_frame, config.frame_samples)


class Retiming:
    """One timeline. `begin()` comes first, and again whenever the init segment changes."""

    def __init__(self) -> None:
        self._sequence = 0
        self._init: InitSegment | None = None
        self._video_end = self._audio_end = 0  # ticks of the tracks of `_init`
        self._rest = 0  # what dividing by the speed left over
        self._speed = NORMAL
        self._silence: tuple[bytes, int] | None = None
        self._keeps_sound = False
        self._delay = 0  # of the newest key picture: how long after decoding it is shown
        self._source_next: int | None = None
        self._shift: Fraction | None = None  # seconds from a file's times to this timeline

    @property
    def end_s(self) -> float:
        """Return where the pictures end."""
        return self._video_end / self._video.timescale if self._init else 0.0

    def begin(self, init: InitSegment, *, keeps_sound: bool) -> None:
        """Go on with another init segment; times are rounded to its scales, never back.

        What follows has the sound that `init` says, or has its sound replaced by silence.
        """
        old, self._init = self._init, init
        self._silence = find_silence(init)
        self._keeps_sound = keeps_sound
        self._source_next = self._shift = None
        if old is None:
            return
        assert old.video is not None
        self._video_end = _rescaled(self._video_end, old.video, self._video)
        if old.audio is not None and init.audio is not None:
            self._audio_end = _rescaled(self._audio_end, old.audio, init.audio)

    def lay(
        self, stored: StoredFragment, speed: Fraction, *, is_awaited: bool = False
    ) -> Fragment | None:
        """Return the fragment as it goes on the timeline; None if nothing of it does.

        One that `is_awaited` is to be seen though nothing may follow soon: browsers show no
        picture beside which there is no sound yet.
        """
        self._set_speed(speed)
        video, audio = stored.parsed.video, stored.parsed.audio
        if video is not None:
            self._align(video)
        silent, skipped = self._fit_sound(video, audio, is_awaited=is_awaited)
        if speed == NORMAL and not silent and not skipped and self._fits_as_it_lies(audio):
            return self._patched(stored)
        runs = []
        if video is not None:
            samples = [self._scaled(sample) for sample in video.samples]
            runs.append(self._video_run(samples, run_payload(stored.data, video)))
        if (sound := self._sound_run(stored.data, audio, silent, skipped)) is not None:
            runs.append(sound)
        return self._built(runs) if runs else None

    def squeeze(self, stored: Sequence[StoredFragment], step: int, last: int) -> Fragment:
        """Return one fragment with all pictures of those given, and silence.

        Each lasts `step` ticks, the last one `last`. At least one of them must hold a picture.
        """
        runs = [(one.data, one.parsed.video) for one in stored if one.parsed.video is not None]
        found = [sample for _, run in runs for sample in run.samples]
        if not found[0].flags & SAMPLE_IS_NON_SYNC:
            self._delay = found[0].cts_offset
        samples = squeeze(found, step, self._delay)
        samples[-1] = samples[-1]._replace(duration=last)
        payload = b"".join([run_payload(data, run) for data, run in runs])
        self._source_next = self._shift = None
        return self._built(self._with_silence(self._video_run(samples, payload)))

    def lay_key(self, stored: StoredFragment, duration: int, speed: Fraction) -> Fragment:
        """Return a key picture alone, for so many ticks of its file."""
        self._set_speed(speed)
        self._source_next = self._shift = None
        run = stored.parsed.video
        assert run is not None
        first = run.samples[0]
        picture = self._scaled(first._replace(duration=duration, cts_offset=0))
        payload = stored.data[first.start : first.start + first.size]
        return self._built(self._with_silence(self._video_run([picture], payload)))

    @property
    def _video(self) -> Track:
        assert self._init is not None
        assert self._init.video is not None
        return self._init.video

    def _set_speed(self, speed: Fraction) -> None:
        if speed != self._speed:
            self._speed, self._rest, self._shift = speed, 0, None

    def _align(self, run: TrackRun) -> None:
        """Fix where the file's clock lies on the timeline, anew after every jump of its times."""
        if self._shift is None or run.dts != self._source_next:
            here = Fraction(self._video_end, self._video.timescale)
            self._shift = here - Fraction(run.dts, run.track.timescale)
        self._source_next = run.dts + run.duration

    def _fit_sound(
        self, video: TrackRun | None, audio: TrackRun | None, *, is_awaited: bool
    ) -> tuple[int, int]:
        """Return how many silent frames go before the sound, and how many of its own go away."""
        track = self._init.audio if self._init else None
        if track is None or self._silence is None:
            return 0, 0
        duration = self._scaled_sum(video) if video is not None else 0
        end = self._video_end + duration
        if self._speed != NORMAL or not self._keeps_sound:
            return self._silent_frames_up_to(end), len(audio.samples) if audio else 0
        if audio is None:
            late = Fraction(end, self._video.timescale) - Fraction(
                self._audio_end, track.timescale
            )
            has_stopped = is_awaited or late > SOUND_GONE_S
            return (self._silent_frames_up_to(end) if has_stopped else 0), 0
        if self._shift is None:  # no picture yet
            return 0, len(audio.samples)
        belongs = Fraction(audio.dts, audio.track.timescale) + self._shift
        frame = self._silence[1]
        missing = round((belongs * track.timescale - self._audio_end) / frame)
        if missing >= 0:
            return min(missing, MAX_SILENT_FRAMES), 0
        return 0, min(-missing, len(audio.samples))

    def _silent_frames_up_to(self, video_end: int) -> int:
        """Return how many frames of silence bring the sound to the picture's end."""
        if self._init is None or self._init.audio is None or self._silence is None:
            return 0
        wanted = video_end * self._init.audio.timescale // self._video.timescale
        return min(max(0, (wanted - self._audio_end) // self._silence[1]), MAX_SILENT_FRAMES)

    def _fits_as_it_lies(self, audio: TrackRun | None) -> bool:
        if audio is None:
            return True
        assert self._init is not None
        track = self._init.audio
        same = track is not None and track.id == audio.track.id
        return same and self._silence is not None and _has_frames_of(audio, self._silence[1])

    def _patched(self, stored: StoredFragment) -> Fragment:
        """Return the fragment with nothing but its times written anew."""
        self._sequence += 1
        data = bytearray(stored.data)
        U32.pack_into(data, SEQUENCE_AT, self._sequence & 0xFFFFFFFF)
        video = audio = None
        if (run := stored.parsed.video) is not None:
            video = run_of(run, self._video_end, run.duration)
            U64.pack_into(data, run.tfdt_at, self._video_end)
            self._video_end += run.duration
        if (run := stored.parsed.audio) is not None:
            audio = run_of(run, self._audio_end, run.duration)
            U64.pack_into(data, run.tfdt_at, self._audio_end)
            self._audio_end += run.duration
        return Fragment(self._sequence, bytes(data), _is_key(stored), video, audio, 0.0)

    def _scaled(self, sample: Sample) -> Sample:
        """Return a sample as long as the speed makes it; what is left over the next one gets."""
        if self._speed == NORMAL:
            return sample
        up, down = self._speed.numerator, self._speed.denominator
        duration, self._rest = divmod(sample.duration * down + self._rest, up)
        return sample._replace(
            duration=max(1, duration), cts_offset=sample.cts_offset * down // up
        )

    def _scaled_sum(self, run: TrackRun) -> int:
        up, down = self._speed.numerator, self._speed.denominator
        return (run.duration * down + self._rest) // up if up != down else run.duration

    def _video_run(self, samples: Sequence[Sample], payload: bytes) -> NewRun:
        run = NewRun(self._video, self._video_end, samples, payload)
        self._video_end += sum([sample.duration for sample in samples])
        return run

    def _with_silence(self, video: NewRun) -> list[NewRun]:
        """Return pictures that were laid, and silence up to their end."""
        silence = self._sound_run(b"", None, self._silent_frames_up_to(self._video_end), 0)
        return [video] if silence is None else [video, silence]

    def _sound_run(
        self, data: bytes, audio: TrackRun | None, silent: int, skipped: int
    ) -> NewRun | None:
        """Return silence and what is kept of the sound after it."""
        if self._init is None or self._init.audio is None or self._silence is None:
            return None
        frame, duration = self._silence
        kept = audio.samples[skipped:] if audio is not None else ()
        samples = [Sample(0, len(frame), duration, SYNC_FLAGS, 0)] * silent
        samples += [Sample(0, one.size, duration, one.flags, 0) for one in kept]
        if not samples:
            return None
        payload = frame * silent
        payload += b"".join([data[one.start : one.start + one.size] for one in kept])
        run = NewRun(self._init.audio, self._audio_end, samples, payload)
        self._audio_end += duration * len(samples)
        return run

    def _built(self, runs: Sequence[NewRun]) -> Fragment:
        assert self._init is not None
        self._sequence += 1
        data = build_fragment(self._sequence & 0xFFFFFFFF, *runs)
        return read_fragment(self._sequence, data, self._init)


def _is_key(stored: StoredFragment) -> bool:
    return stored.parsed.video is not None and stored.parsed.video.has_sync_sample


def _has_frames_of(run: TrackRun, duration: int) -> bool:
    return all(sample.duration == duration for sample in run.samples)


def _rescaled(ticks: int, old: Track, new: Track) -> int:
    return -(-ticks * new.timescale // old.timescale)
