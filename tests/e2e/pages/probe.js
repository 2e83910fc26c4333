// Put into every page before its own scripts: what a test needs to know of a playing <video>.
"use strict";

(() => {
  const BITS = 12;
  const BLOCKS = 16;
  const WHITE = 128;
  const canvas = document.createElement("canvas");
  const counts = {};

  for (const type of ["seeking", "waiting", "error"]) {
    const count = (event) => {
      if (event.target instanceof HTMLVideoElement) counts[type] = (counts[type] ?? 0) + 1;
    };
    document.addEventListener(type, count, true);
  }

  /** The number that tests/fakes/clips.py drew into the picture, or -1 when there is none. */
  function readIndex(video) {
    const side = Math.floor(video.videoWidth / BLOCKS);
    if (!side) return -1;
    canvas.width = side * BLOCKS;
    canvas.height = side;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(video, 0, 0, canvas.width, side, 0, 0, canvas.width, side);
    const line = context.getImageData(0, side >> 1, canvas.width, 1).data;
    const bits = Array.from(
      { length: BITS + 2 },
      (_, block) => line[(block * side + (side >> 1)) * 4] >= WHITE,
    );
    if (!bits[0] || bits[1]) return -1;
    return bits.slice(2).reduce((sum, bit) => sum * 2 + Number(bit), 0);
  }

  function look(video) {
    const ranges = Array.from({ length: video.buffered.length }, (_, at) => [
      video.buffered.start(at),
      video.buffered.end(at),
    ]);
    return {
      at: Date.now() / 1000,
      index: readIndex(video),
      time: video.currentTime,
      pictures: video.getVideoPlaybackQuality().totalVideoFrames,
      width: video.videoWidth,
      seeks: counts.seeking ?? 0,
      waits: counts.waiting ?? 0,
      ranges,
    };
  }

  /** Look at the element every 50 ms for so many seconds. */
  async function watch(seconds) {
    const looks = [];
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      const video = document.querySelector("video");
      if (video) looks.push(look(video));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return looks;
  }

  globalThis.probe = { look: () => look(document.querySelector("video")), watch };
})();
