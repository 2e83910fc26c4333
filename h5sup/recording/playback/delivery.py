"""From the viewer's timeline to the viewer: as it was recorded, or through an ffmpeg.

Each track goes its own way, straight or converted; both are on the same timeline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from h5sup.base.clock import from_us
from h5sup.base.errors import UnavailableError
from h5sup.bus.fragment import Fragment, read_fragment
from h5sup.bus.playback import Begun, Item, Played
from h5sup.formats.isobmff.build import NewRun, build_fragment, new_run
from h5sup.formats.isobmff.compose import build_opus, with_sound_of
from h5sup.formats.isobmff.fragment import TrackRun, parse_fragment
from h5sup.formats.isobmff.init_segment import InitSegment, without_audio
from h5sup.formats.isobmff.track import Track
from h5sup.recording.playback.converter import Converted, Converter, Kit

OPUS_PACKET = 960  # libopus's usual 20 ms, in samples
HELD = 200  # fragments that wait for the first converted picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Outfit:
    """How a stretch of recording is shown."""

    init: InitSegment
    """Of what is laid on the timeline."""
    keeps_sound: bool = False
    """Its sound is its own, else silence."""
    converts: bool = False
    """Its pictures are made H.264."""
    opus: bool = False
    """Its sound is made Opus."""

    @property
    def needs_ffmpeg(self) -> bool:
        """Return whether it can't go straight."""
        return self.converts or self.opus


class Delivery:
    """Owned by one player. Used from the loop alone; `close()` must follow."""

    def __init__(self, kit: Kit | None, on_output: Callable[[], None]) -> None:
        """Take what conversions are made with, None where there are none."""
        self.items: deque[Item] = deque()
        """What is to be handed over, at once."""
        self._kit = kit
        self._on_output = on_output
        self._outfit: Outfit | None = None
        self._converter: Converter | None = None
        self._init: InitSegment | None = None  # of what is delivered
        self._held: deque[tuple[NewRun, int]] = deque(maxlen=HELD)
        self._awaits_init = False  # of converted pictures
        self._has_pictures = self._has_sound = False  # gone into this ffmpeg
        self._times: deque[tuple[Fraction, int]] = deque()  # of pictures inside ffmpeg
        self._at_us = 0  # of the newest picture
        # in seconds of the timeline: converted pictures, what went into ffmpeg, its Opus
        self._video_end = self._fed_end = self._opus_end = Fraction(0)
        self._sequence = 0

    @property
    def is_converting(self) -> bool:
        """Return whether an ffmpeg runs."""
        return self._converter is not None

    @property
    def has_room(self) -> bool:
        """Return whether more may be put."""
        return self._converter is None or self._converter.has_room

    def suits(self, outfit: Outfit) -> bool:
        """Return whether what comes can be put without begin()."""
        if outfit.needs_ffmpeg and self._converter is None:
            return False
        return self._outfit is not None and self._outfit == outfit

    async def begin(self, outfit: Outfit, now: float) -> None:
        """Go on in another outfit; raises UnavailableError."""
        await self.flush(now)
        self._outfit = outfit
        self._awaits_init = outfit.converts
        self._has_pictures = self._has_sound = False
        if outfit.needs_ffmpeg:
            if self._kit is None:
                raise UnavailableError("this recording can't be converted here")
            self._converter = Converter(
                self._kit,
                outfit.init,
                video=outfit.converts,
                opus=outfit.opus,
                on_output=self._on_output,
            )
            await self._converter.open()
        if not outfit.converts:
            self._announce(outfit.init)

    def put(self, fragment: Fragment, at_us: int, now: float) -> None:
        """Deliver a fragment of the timeline whose first picture was taken at a moment."""
        outfit, converter = self._outfit, self._converter
        assert outfit is not None
        if converter is None:
            self.items.append(Played(replace(fragment, arrived=now), from_us(at_us)))
            return
        parsed = parse_fragment(fragment.data, outfit.init)
        converter.feed(fragment.data, parsed)
        self._at_us = at_us
        if (video := parsed.video) is not None:
            self._feed_picture(video, at_us)
            if not outfit.converts:
                self._held.append((new_run(video, fragment.data), at_us))
        if (audio := parsed.audio) is not None:
            if not outfit.opus:
                self._held.append((new_run(audio, fragment.data), at_us))
            elif not self._has_sound:
                self._has_sound = True
                start = Fraction(audio.dts, audio.track.timescale)
                self._opus_end = max(self._opus_end, start)
        self._release(now)

    def collect(self, now: float) -> None:
        """Take what ffmpeg has made; raises UnavailableError when it has ended too early."""
        converter = self._converter
        if converter is None:
            return
        while converter.out:
            self._take(converter.out.popleft(), now)
        converter.check()

    async def flush(self, now: float) -> None:
        """Deliver all that is still inside ffmpeg, and end it."""
        converter, self._converter = self._converter, None
        if converter is None:
            return
        try:
            await converter.finish()
            pictures = [one for one in converter.out if one.run.track.kind == "video"]
            for one in converter.out:
                is_last = bool(pictures) and one is pictures[-1]
                self._take(self._lengthened(one) if is_last else one, now)
        finally:
            self._times.clear()
            await converter.close()

    async def close(self) -> None:
        """End what runs."""
        if self._converter is not None:
            await self._converter.close()
            self._converter = None

    def _feed_picture(self, video: TrackRun, at_us: int) -> None:
        """Note where a picture lies on the timeline, and when it was taken."""
        start = Fraction(video.dts, video.track.timescale)
        if not self._has_pictures:
            self._has_pictures = True
            self._video_end = max(self._video_end, start)
        self._times.append((start, at_us))
        self._fed_end = start + Fraction(video.duration, video.track.timescale)

    def _announce(self, picture: InitSegment) -> None:
        """Say what follows, given the init segment of its pictures."""
        outfit = self._outfit
        assert outfit is not None
        init = picture
        sound = outfit.init
        if outfit.opus and sound.audio is not None:
            init = with_sound_of(without_audio(picture), build_opus(_channels(sound.audio)))
        elif outfit.converts and sound.audio is not None:
            init = with_sound_of(picture, sound)
        if self._init is None or init.data != self._init.data:
            self.items.append(Begun(init))
        self._init = init

    def _release(self, now: float) -> None:
        """Deliver what went straight, once it has been said what it is."""
        while self._held and not self._awaits_init:
            run, at_us = self._held.popleft()
            self._deliver(run, at_us, now)

    def _take(self, one: Converted, now: float) -> None:
        """Deliver what came out of ffmpeg, at the end of what came before."""
        scale = one.run.track.timescale
        if one.run.track.kind == "audio":
            start = _ticks(self._opus_end, scale)
            # the last packet claims to be as long as what it holds, not as it is
            samples = [sample._replace(duration=OPUS_PACKET) for sample in one.run.samples]
            self._opus_end = Fraction(start + OPUS_PACKET * len(samples), scale)
            self._held.append((one.as_new(start)._replace(samples=samples), self._at_us))
            self._release(now)
            return
        if self._awaits_init:
            self._awaits_init = False
            self._announce(one.init)
        start = _ticks(self._video_end, scale)
        at_us = self._taken_at(self._video_end)
        self._video_end = Fraction(start + one.run.duration, scale)
        self._deliver(one.as_new(start), at_us, now)
        self._release(now)

    def _lengthened(self, one: Converted) -> Converted:
        """Return the last run of a conversion as long as what went in: ffmpeg can't know that."""
        *others, last = one.run.samples
        scale = one.run.track.timescale
        left = _ticks(self._fed_end, scale) - _ticks(self._video_end, scale)
        duration = max(1, left - sum(sample.duration for sample in others))
        samples = (*others, last._replace(duration=duration))
        return replace(one, run=replace(one.run, samples=samples))

    def _taken_at(self, start: Fraction) -> int:
        """Return when the picture at a place of the timeline was taken."""
        at_us = self._at_us
        while self._times and self._times[0][0] <= start:
            at_us = self._times.popleft()[1]
        return at_us

    def _deliver(self, run: NewRun, at_us: int, now: float) -> None:
        init = self._init
        assert init is not None
        track = init.video if run.track.kind == "video" else init.audio
        assert track is not None
        self._sequence += 1
        data = build_fragment(self._sequence, run._replace(track=track))
        fragment = read_fragment(self._sequence, data, init)
        self.items.append(Played(replace(fragment, arrived=now), from_us(at_us)))


def _channels(track: Track) -> int:
    return min(2, max(1, track.channels))


def _ticks(seconds: Fraction, scale: int) -> int:
    return -(-seconds.numerator * scale // seconds.denominator)
