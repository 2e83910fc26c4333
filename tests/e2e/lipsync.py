"""How far sound and picture of a playing page are apart, by clips that flash and beep at once."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.async_api import Page

# Tells the context's time of the first sample of each beep.
WORKLET = """
registerProcessor('beeps', class extends AudioWorkletProcessor {
  #quiet = 0;
  process([[samples]]) {
    samples?.forEach((sample, at) => {
      this.#quiet += 1;
      if (Math.abs(sample) < 0.05) return;
      if (this.#quiet > sampleRate * 0.3) this.port.postMessage(currentTime + at / sampleRate);
      this.#quiet = 0;
    });
    return true;
  }
});
"""
# When each flash is to be seen and each beep to be heard, in ms on the page's clock.
WATCH_AND_LISTEN = """async ([worklet, seconds]) => {
  const video = document.querySelector('video');
  const flashes = [], beeps = [];
  const brush = new OffscreenCanvas(16, 9).getContext('2d', {willReadFrequently: true});
  let wasLit = true;
  const look = (now, {expectedDisplayTime}) => {
    video.requestVideoFrameCallback(look);
    brush.drawImage(video, 0, 0, 16, 9);
    const isLit = brush.getImageData(8, 6, 1, 1).data[1] >= 128;
    if (isLit && !wasLit) flashes.push(expectedDisplayTime);
    wasLit = isLit;
  };
  video.requestVideoFrameCallback(look);
  const context = new AudioContext({latencyHint: 'interactive'});
  await context.audioWorklet.addModule(URL.createObjectURL(
    new Blob([worklet], {type: 'text/javascript'})));
  const ear = new AudioWorkletNode(context, 'beeps');
  ear.port.onmessage = ({data}) => {
    const {contextTime, performanceTime} = context.getOutputTimestamp();
    beeps.push(performanceTime + (data - contextTime) * 1000);
  };
  context.createMediaStreamSource(video.srcObject).connect(ear).connect(context.destination);
  await new Promise((done) => setTimeout(done, seconds * 1000));
  await context.close();
  return {flashes, beeps};
}"""


@dataclass(frozen=True, slots=True)
class Offsets:
    """How much later than its flash each beep was heard, in milliseconds."""

    flashes: int
    beeps: int
    beeps_late_ms: list[float]


async def measure(page: Page, seconds: float) -> Offsets:
    """Watch and listen to the page's video, which plays a clip with `flash`.

    The browser must have been opened with `obeys_policy=False`: the script that listens is ours.
    """
    seen = await page.evaluate(WATCH_AND_LISTEN, [WORKLET, seconds])
    flashes: list[float] = seen["flashes"]
    beeps: list[float] = seen["beeps"]
    nearest = [min((beep - flash for beep in beeps), key=abs, default=None) for flash in flashes]
    late_ms = [one for one in nearest if one is not None and abs(one) < 500]
    return Offsets(len(flashes), len(beeps), late_ms)
