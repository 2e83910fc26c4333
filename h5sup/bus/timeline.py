"""One gapless timeline per channel, laid at ingest.

Browsers stop for good at a hole of 40 ms of audio or 60 ms of video, and at times that go back.
So every fragment is re-clocked: video as the running sum of its sample durations, audio by its
frame length. Video is the master; audio is held to it by whole frames: silence where frames are
missing, frames left out where there are too many. What was lost is closed up at a key frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from h5sup.bus.fragment import Fragment, run_of
from h5sup.formats.aac import AacConfig, parse_config
from h5sup.formats.isobmff.boxes import U32, U64
from h5sup.formats.isobmff.build import NewRun, build_fragment
from h5sup.formats.isobmff.fragment import (
    SYNC_FLAGS,
    ParsedFragment,
    Sample,
    TrackRun,
    parse_fragment,
    run_payload,
)
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.track import Track

LOSS_S = 1.0  # a picture that lasts longer stands for lost ones
LONG_PICTURE_FACTOR = 5  # ... unless the camera sends that slowly
SLOWEST_S = 4
NOMINAL_S = 0.04  # a picture's duration before any is known
AUDIO_GONE_S = 0.5  # audio this far behind video has stopped, not just been interleaved late
AUDIO_TARGET_S = 0.05  # silence is laid up to so far behind the video
AUDIO_LEAD_S = 0.1  # sound may begin so long before the first picture: players begin with it
SKEW_S = 0.12  # audio this far from where it belongs, for SKEW_HOLD_S, is moved
SKEW_HOLD_S = 0.5
SKEW_AT_ONCE_S = 0.4
MAX_SILENCE_S = 2.0  # in one fragment; more comes with the next
CLOCK_START_S = 10  # sound may begin before the first picture, and times can't be negative


class Timeline:
    """Places the fragments of one process after another on one running clock.

    Owned by an Ingest. `begin()` is called with the init segment of every new process; its times
    may start anywhere. The clock goes on from where the previous process left it.
    """

    def __init__(self) -> None:
        self.lost_s = 0.0
        """Media time that was closed up: what viewers did not have to wait through."""
        self.has_audio = False
        """Sound has come since the clock was set."""
        self._sequence = 0
        self._start_s: float | None = None  # of the first picture since then, by the source
        self._init: InitSegment | None = None
        self._video_next = 0  # on the channel, ticks of the video track
        self._audio_next = 0
        self._aac: AacConfig | None = None
        self._picture = 0  # the usual duration of a picture, in ticks
        self._restart(None)

    def _restart(self, init: InitSegment | None) -> None:
        self._source_video_next: int | None = None
        self._shift_s: float | None = None  # channel time = source time + shift
        self._skew_since_s: float | None = None
        self._audio_is_fresh = True  # the first sound of a process is put where it belongs
        self._waiting_for_key = True
        self._opening: list[bytes] | None = []  # fragments up to the second picture
        self._first_picture: int | None = None  # the first ones' true durations, until they came
        self._first_sound = self._aac.frame_samples if self._aac and init else None
        self._init = init

    def begin(self, init: InitSegment, *, keep_clock: bool) -> None:
        """Take the init segment of a new process."""
        self._aac = parse_config(init.audio.audio_config) if init.audio else None
        self._restart(init)
        if keep_clock:
            return
        self.has_audio = False
        self._start_s = None
        scale = init.video.timescale if init.video else 0
        self._video_next = scale * CLOCK_START_S
        self._picture = int(scale * NOMINAL_S)

    def place(self, data: bytes, arrived: float) -> Iterator[Fragment]:
        """Yield the fragment as it stands on the channel, silence before it where it must."""
        assert self._init is not None
        if self._opening is None:
            yield from self._place(data, arrived)
            return
        self._opening.append(data)
        pictures = pictures_in(self._opening, self._init)
        if len(pictures) < 2:
            return
        opening, self._opening = self._opening, None
        self._first_picture = pictures[1].duration
        for one in opening:
            yield from self._place(one, arrived)

    def _place(self, data: bytes, arrived: float) -> Iterator[Fragment]:
        assert self._init is not None
        parsed = parse_fragment(data, self._init)
        corrected = self._with_true_starts(data, parsed)
        if corrected is not data:
            data, parsed = corrected, parse_fragment(corrected, self._init)
        is_key = parsed.video is not None and parsed.video.has_sync_sample
        if parsed.video is not None and self._joins_badly(parsed.video, is_key):
            return
        if self._waiting_for_key and not is_key:
            return
        if parsed.video is not None:
            self._waiting_for_key = False
            self._align(parsed.video)
        if parsed.audio is not None and not self.has_audio:
            data = self._without_lead(parsed, parsed.audio, data)
            parsed = parse_fragment(data, self._init)
        if parsed.audio is not None and not self._takes_audio(parsed.audio):
            data = self._video_alone(parsed.video, data)
            parsed = parse_fragment(data, self._init)
        if parsed.audio is None and parsed.video is None:
            return
        silence = self._silence_before(parsed)
        if silence is not None:
            yield self._emit(
                bytearray(silence), parse_fragment(silence, self._init), False, arrived
            )
        yield self._emit(bytearray(data), parsed, is_key, arrived)

    def _with_true_starts(self, data: bytes, parsed: ParsedFragment) -> bytes:
        """Correct the first run of each track of a process."""
        if parsed.video is not None and self._first_picture is not None:
            data = with_true_start(data, parsed.video, self._first_picture)
            self._first_picture = None
        if parsed.audio is not None and self._first_sound is not None:
            data = with_true_start(data, parsed.audio, self._first_sound)
            self._first_sound = None
        return data

    def _joins_badly(self, run: TrackRun, is_key: bool) -> bool:
        """Notice pictures lost on the way here; True while only a key frame can go on."""
        expected = self._source_video_next
        if expected is None or run.dts == expected:
            return False
        missing_s = (run.dts - expected) / run.track.timescale
        if is_key:
            self.lost_s += max(0.0, missing_s)
            self._shift_s = None
            return False
        if 0 < missing_s < NOMINAL_S:  # rounding between time bases
            return False
        self._waiting_for_key = True
        return True

    def _align(self, run: TrackRun) -> None:
        """Fix where the source's clock lies on the channel's."""
        self._source_video_next = run.dts + run.duration
        if self._start_s is None:
            self._start_s = run.dts / run.track.timescale
        if self._shift_s is None:
            scale = run.track.timescale
            self._shift_s = self._video_next / scale - run.dts / scale

    def _takes_audio(self, run: TrackRun) -> bool:
        """Return False for frames that would push the sound behind the picture."""
        if not self.has_audio:
            self.has_audio = True
            belongs_s = run.dts / run.track.timescale + (self._shift_s or 0.0)
            self._audio_next = round(max(0.0, belongs_s) * run.track.timescale)
        return self._audio_missing_s(run) > -SKEW_S or not self._is_off_for_long(run)

    def _audio_missing_s(self, run: TrackRun) -> float:
        """Return how much sound is missing before this run; negative: too much came."""
        scale = run.track.timescale
        return run.dts / scale + (self._shift_s or 0.0) - self._audio_next / scale

    def _is_off_for_long(self, run: TrackRun) -> bool:
        """Return whether the sound has been off long enough to be moved."""
        off_s = abs(self._audio_missing_s(run))
        if off_s < SKEW_S:
            self._skew_since_s = None
            return False
        now_s = run.dts / run.track.timescale
        if self._skew_since_s is None or now_s < self._skew_since_s:
            self._skew_since_s = now_s
        return (
            self._audio_is_fresh
            or off_s > SKEW_AT_ONCE_S
            or now_s - self._skew_since_s >= SKEW_HOLD_S
        )

    def _silence_before(self, parsed: ParsedFragment) -> bytes | None:
        """Return a fragment of silence where sound is missing, or None."""
        track = self._init.audio if self._init else None
        if track is None or self._aac is None or not self.has_audio:
            return None
        missing_s = 0.0
        if parsed.audio is not None:
            if self._is_off_for_long(parsed.audio):
                missing_s = self._audio_missing_s(parsed.audio)
            self._audio_is_fresh = False
        elif parsed.video is not None and self.audio_gap_s > AUDIO_GONE_S:
            missing_s = self.audio_gap_s - AUDIO_TARGET_S
        frames = int(min(missing_s, MAX_SILENCE_S) * track.timescale) // self._aac.frame_samples
        if frames <= 0 or self._aac.silent_frame is None:
            return None
        return self._silent_fragment(track, frames, self._aac.silent_frame)

    @property
    def can_fill(self) -> bool:
        """Return whether silence can be made for this kind of sound."""
        return self._aac is not None and self._aac.silent_frame is not None

    @property
    def audio_gap_s(self) -> float:
        """Return how far the sound has fallen behind the picture."""
        if self._init is None or self._init.audio is None or self._init.video is None:
            return 0.0
        video_s = self._video_next / self._init.video.timescale
        return video_s - self._audio_next / self._init.audio.timescale

    def _silent_fragment(self, track: Track, count: int, frame: bytes) -> bytes:
        assert self._aac is not None
        sample = Sample(0, len(frame), self._aac.frame_samples, SYNC_FLAGS, 0)
        return build_fragment(0, NewRun(track, 0, [sample] * count, frame * count))

    def _without_lead(self, parsed: ParsedFragment, audio: TrackRun, data: bytes) -> bytes:
        """Leave out sound from long before the first picture.

        A camera joined 3 s before its next key frame sends 3 s of sound first, and players would
        take the beginning of that for the beginning of the first picture.
        """
        assert self._start_s is not None
        scale = audio.track.timescale
        dts, kept = audio.dts, list(audio.samples)
        while kept and (dts + kept[0].duration) / scale < self._start_s - AUDIO_LEAD_S:
            dts += kept.pop(0).duration
        if len(kept) == len(audio.samples):
            return data
        if not kept:
            return self._video_alone(parsed.video, data)
        payload = b"".join([data[one.start : one.start + one.size] for one in kept])
        sound = NewRun(audio.track, dts, kept, payload)
        return build_fragment(0, *self._video_run(parsed.video, data), sound)

    def _video_alone(self, run: TrackRun | None, data: bytes) -> bytes:
        return build_fragment(0, *self._video_run(run, data))

    def _video_run(self, run: TrackRun | None, data: bytes) -> list[NewRun]:
        if run is None:
            return []
        return [NewRun(run.track, run.dts, run.samples, run_payload(data, run))]

    def _emit(
        self, data: bytearray, parsed: ParsedFragment, is_key: bool, arrived: float
    ) -> Fragment:
        """Write the channel's times into the fragment and advance the clock."""
        self._sequence += 1
        U32.pack_into(data, 20, self._sequence & 0xFFFFFFFF)  # mfhd, the first box of the moof
        video = audio = None
        if parsed.video is not None:
            duration = self._clock_video(data, parsed.video)
            video = run_of(parsed.video, self._video_next, duration)
            U64.pack_into(data, video.tfdt_at, video.dts)
            self._video_next += duration
        if parsed.audio is not None:
            duration = self._clock_audio(data, parsed.audio)
            audio = run_of(parsed.audio, self._audio_next, duration)
            U64.pack_into(data, audio.tfdt_at, audio.dts)
            self._audio_next += duration
        return Fragment(self._sequence, bytes(data), is_key, video, audio, arrived)

    def _clock_video(self, data: bytearray, run: TrackRun) -> int:
        """Return the run's duration, with pictures shortened that stand for lost ones."""
        total = 0
        scale = run.track.timescale
        for index, sample in enumerate(run.samples):
            duration = sample.duration
            if duration > scale * LOSS_S and duration > self._picture * LONG_PICTURE_FACTOR:
                closed = duration - self._picture
                self.lost_s += closed / scale
                if self._shift_s is not None:
                    self._shift_s -= closed / scale
                duration = self._picture
            # follows a camera that changes its rate within some ten pictures
            self._picture += (min(sample.duration, scale * SLOWEST_S) - self._picture) // 8
            duration = max(duration, 1)
            if duration != sample.duration:
                self._write_duration(data, run, index, duration)
            total += duration
        return total

    def _clock_audio(self, data: bytearray, run: TrackRun) -> int:
        """Give every audio frame its own length: ffmpeg's copied times jitter by a frame."""
        frame = self._aac.frame_samples if self._aac else run.samples[0].duration
        for index, sample in enumerate(run.samples):
            if sample.duration != frame:
                self._write_duration(data, run, index, frame)
        return frame * len(run.samples)

    def _write_duration(self, data: bytearray, run: TrackRun, index: int, duration: int) -> None:
        places = run.durations_at
        if places:
            U32.pack_into(data, places[index if len(places) > 1 else 0], duration)


def pictures_in(fragments: Sequence[bytes], init: InitSegment) -> list[Sample]:
    """Return all video samples of some fragments."""
    runs = (parse_fragment(data, init).video for data in fragments)
    return [sample for run in runs if run is not None for sample in run.samples]


def with_true_start(data: bytes, run: TrackRun, usual: int) -> bytes:
    """Return a process's first fragment of a track with its run starting where it does.

    ffmpeg lets each track start at 0 and its first sample last up to where the second begins: a
    camera joined 3 s before its next key frame has a first picture of 3.04 s. Left so, sound and
    picture would be 3 s apart.
    """
    excess = run.samples[0].duration - usual
    if excess <= 0 or not run.durations_at:
        return data
    corrected = bytearray(data)
    U64.pack_into(corrected, run.tfdt_at, run.dts + excess)
    U32.pack_into(corrected, run.durations_at[0], usual)
    return bytes(corrected)
