"""A channel written into the standard input of an ffmpeg job, without ever slowing the channel."""

from __future__ import annotations

from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment
from h5sup.sources.pipes import PipeWriter


class BusFeeder:
    """Subscribes to a channel and writes init segment, cached GOP and fragments to a pipe.

    A job that can't keep up loses whole GOPs. The pipe is closed when the channel's generation
    ends: the job ends with it and is started afresh. One that `begins_live` gets no GOP.
    """

    def __init__(self, channel: Channel, writer: PipeWriter, *, begins_live: bool = False) -> None:
        assert channel.init is not None
        self.dropped_fragments = 0
        self.first_sound: int | None = None
        """Where the first sound that was written begins, in ticks of its track."""
        self._channel = channel
        self._writer = writer
        self._waiting_for_key = False
        writer.write(channel.init.data)
        if not begins_live:
            for fragment in channel.gop:
                self._write(fragment)
            self._waiting_for_key = not channel.gop
        channel.subscribe(self)

    def on_fragment(self, fragment: Fragment) -> None:
        """Write the fragment, or drop up to the next key fragment."""
        if not self._writer.has_room(len(fragment.data)):
            self._waiting_for_key = True
        elif fragment.is_key:
            self._waiting_for_key = False
        if self._waiting_for_key:
            self.dropped_fragments += 1
        else:
            self._write(fragment)

    def on_close(self, reason: str) -> None:
        """End the job's input."""
        del reason
        self._writer.close()

    def _write(self, fragment: Fragment) -> None:
        if self.first_sound is None and fragment.audio is not None:
            self.first_sound = fragment.audio.dts
        self._writer.write(fragment.data)

    def close(self) -> None:
        """Leave the channel and end the job's input."""
        self._channel.unsubscribe(self)
        self._writer.close()
