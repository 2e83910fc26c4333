const WAIT_MS = 1000; // browsers take few changes of the address

/** Keeps in the page's address the moment that was gone to, where it has come to rest, and from where. */
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

  /** Whether the recorder's recordings are shown. @param {boolean} isDevice */
  choose(isDevice) {
    const here = new URL(location.href);
    if (isDevice) here.searchParams.set("from", "device");
    else here.searchParams.delete("from");
    history.replaceState(null, "", here);
  }

  /** Forget what was not written yet. */
  close() {
    clearTimeout(this.#timer);
  }
}
