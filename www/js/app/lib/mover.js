// Moving a camera by what is held down: it is asked again while that lasts, and stopped after.

/** The server stops a camera that is not asked for again within 10 s. */
export const REPEAT_MS = 3000;
/** A stop that was lost on the way is sent again until the server stops the camera by itself. */
export const AGAIN_MS = 1000;
const AGAIN_AT_MOST = 10;

/**
 * Sends one command after another, of those that wait the newest: a stop must not come before
 * the motion it ends.
 */
export class Mover {
  /** @type {(action: string) => Promise<unknown>} */
  #send;
  /** @type {(error: unknown) => void} */
  #onOutcome;
  /** @type {(error: unknown) => boolean} */
  #isLost;
  #lost = 0; // stops in a row
  #held = "";
  #wish = "";
  #isBusy = false;
  #isQuiet = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {(action: string) => Promise<unknown>} send raises what is handed on
   * @param {(error: unknown) => void} onOutcome what failed, null for what did not
   * @param {(error: unknown) => boolean} [isLost] whether a command may not have arrived
   */
  constructor(send, onOutcome, isLost = () => false) {
    this.#send = send;
    this.#onOutcome = onOutcome;
    this.#isLost = isLost;
  }

  /** What is held down; "" for nothing. */
  get held() {
    return this.#held;
  }

  /** Whether nothing is held and the last stop has arrived. */
  get isAtRest() {
    return !this.#held && !this.#isBusy && !this.#lost;
  }

  /** Move until release(). @param {string} action */
  hold(action) {
    if (this.#held === action) return;
    this.#held = action;
    this.#want(action);
  }

  /** Stop what is held. */
  release() {
    if (this.#held) this.stop();
  }

  /** Stop, whoever began it. */
  stop() {
    this.#held = "";
    this.#want("stop");
  }

  /** Forget what is held without a word: somebody else sends the stop. */
  abandon() {
    this.#held = this.#wish = "";
    this.#lost = 0;
    clearTimeout(this.#timer);
  }

  /** @param {string} action */
  #want(action) {
    clearTimeout(this.#timer);
    this.#wish = action;
    this.#isQuiet = false;
    this.#lost = 0;
    if (!this.#isBusy) void this.#work();
  }

  async #work() {
    this.#isBusy = true;
    while (this.#wish) {
      const action = this.#wish;
      const isQuiet = this.#isQuiet;
      this.#wish = "";
      try {
        await this.#send(action);
        if (!isQuiet || this.#lost) this.#onOutcome(null);
        this.#lost = 0;
      } catch (error) {
        if (!isQuiet) this.#fail(action, error);
        if (action === "stop" && this.#isLost(error) && !this.#wish) this.#sendStopAgain();
      }
    }
    this.#isBusy = false;
    if (this.#held) this.#timer = setTimeout(() => this.#want(this.#held), REPEAT_MS);
  }

  #sendStopAgain() {
    this.#lost += 1;
    if (this.#lost > AGAIN_AT_MOST) return void (this.#lost = 0);
    this.#timer = setTimeout(() => {
      this.#wish = "stop";
      this.#isQuiet = true;
      void this.#work();
    }, AGAIN_MS);
  }

  /**
   * What failed is not repeated. It may have moved the camera all the same, so that is stopped
   * without another word.
   * @param {string} action
   * @param {unknown} error
   */
  #fail(action, error) {
    this.#onOutcome(error);
    if (this.#held === action) this.#held = "";
    if (action === "stop" || this.#held) return;
    this.#wish = "stop";
    this.#isQuiet = true;
  }
}

/** @type {Record<string, readonly [across: number, up: number]>} */
const ARROWS = {
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
};
/** @type {Record<string, string>} */
const ZOOMS = { "+": "zoomin", "=": "zoomin", "-": "zoomout", _: "zoomout" };

/** Whether a key moves a camera. @param {string} key */
export function isSteering(key) {
  return key in ARROWS || key in ZOOMS;
}

/**
 * What the keys that are down mean together; "" for nothing. Two arrows make a diagonal.
 * @param {Iterable<string>} keys
 */
export function actionOf(keys) {
  let across = 0;
  let up = 0;
  let zoom = "";
  for (const key of keys) {
    zoom = ZOOMS[key] ?? zoom;
    across += ARROWS[key]?.[0] ?? 0;
    up += ARROWS[key]?.[1] ?? 0;
  }
  if (zoom) return zoom;
  return (
    (up > 0 ? "up" : up < 0 ? "down" : "") + (across > 0 ? "right" : across < 0 ? "left" : "")
  );
}

/**
 * A token for a new preset: numbers, as cameras and the manual have them.
 * @param {readonly { strToken: string }[]} presets
 */
export function freeToken(presets) {
  const taken = new Set(presets.map((one) => one.strToken));
  let number = 1;
  while (taken.has(String(number))) number += 1;
  return String(number);
}
