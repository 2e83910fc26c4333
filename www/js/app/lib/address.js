const WAIT_MS = 1000; // browsers take few changes of the address

/** Keeps the moment that was gone to in the page's address, where it has come to rest. */
export class Address {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {number} ms */
  remember(ms) {
    this.close();
    this.#timer = setTimeout(() => {
      const here = new URL(location.href);
      here.searchParams.set("at", new Date(ms).toISOString());
      history.replaceState(null, "", here);
    }, WAIT_MS);
  }

  /** Forget what was not written yet. */
  close() {
    clearTimeout(this.#timer);
  }
}
