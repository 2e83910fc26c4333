/**
 * How many sources a page may play over HLS at once. A browser opens six connections to a host;
 * each HLS player holds one by waiting for the next playlist, and media and calls need the rest.
 */
export const HLS_AT_ONCE = 4;

/**
 * Which tiles have to rest because as many others play as can.
 * @param {{ isWanted: boolean, overHls: boolean, isWorthPlaying: boolean }[]} tiles in their order
 * @returns {boolean[]}
 */
export function whoRests(tiles) {
  let places = HLS_AT_ONCE;
  return tiles.map(({ isWanted, overHls, isWorthPlaying }) => {
    const rests = overHls && places <= 0;
    if (isWanted && overHls && isWorthPlaying) places -= 1;
    return rests;
  });
}
