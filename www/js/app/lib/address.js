const WAIT_MS = 1000; // browsers take few changes of the address
const FOLLOW_MS = 5000;

/**
 * @typedef {object} Place what the address of a playback says
 * @property {number} at the moment to show; NaN for none
 * @property {number} day a moment of the day to show; NaN for today
 * @property {boolean} isDevice whether the recorder's recordings are shown
 * @property {"ws" | "rtc" | ""} way over which transport; "" where that is left open
 */

/** @param {string} search of an address @returns {Place} */
export function readPlace(search) {
  const query = new URLSearchParams(search);
  const at = Date.parse(query.get("at") ?? "");
  const [year = Number.NaN, month = 0, date = 0] = (query.get("day") ?? "").split("-").map(Number);
  const day = query.has("day") ? new Date(year, month - 1, date).getTime() : Number.NaN;
  const way = query.get("way");
  return {
    at,
    day: Number.isNaN(at) ? day : at,
    isDevice: query.get("from") === "device",
    way: way === "rtc" || way === "ws" ? way : "",
  };
}

/**
 * Keeps in the page's address what is shown, so that a reload and a link lead there. Another day
 * and other recordings are steps that the browser's way back undoes.
 */
export class Address {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #writtenAt = -Infinity;

  /** The moment that was gone to, once it has come to rest. @param {number} ms */
  remember(ms) {
    this.close();
    this.#timer = setTimeout(() => this.#write(ms), WAIT_MS);
  }

  /** The moment that is shown, now and then. @param {number} ms NaN for none */
  follow(ms) {
    const isEarly = performance.now() - this.#writtenAt < FOLLOW_MS;
    if (Number.isNaN(ms) || isEarly || this.#timer) return;
    this.#write(ms);
  }

  /** Another day was chosen. @param {number} ms a moment of it */
  turnTo(ms) {
    const at = new Date(ms);
    const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    this.#step({ day, at: "" });
  }

  /** Whose recordings are shown. @param {boolean} isDevice */
  choose(isDevice) {
    this.#step({ from: isDevice ? "device" : "" });
  }

  /** Over which transport. @param {string} way */
  chooseWay(way) {
    history.replaceState(null, "", changed({ way }));
  }

  /** Forget what was not written yet. */
  close() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** @param {number} ms */
  #write(ms) {
    this.close();
    this.#writtenAt = performance.now();
    const at = new Date(Math.floor(ms / 1000) * 1000).toISOString();
    const here = changed({ at, day: "" });
    if (here.href !== location.href) history.replaceState(null, "", here);
  }

  /** @param {Record<string, string>} changes */
  #step(changes) {
    this.close();
    this.#writtenAt = performance.now(); // what is shown now is not yet that
    history.pushState(null, "", changed(changes));
  }
}

/** The address with other values; "" takes one out. @param {Record<string, string>} changes */
function changed(changes) {
  const here = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value) here.searchParams.set(name, value);
    else here.searchParams.delete(name);
  }
  return here;
}
