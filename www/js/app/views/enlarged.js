import { openLarge } from "./large.js";

/** @typedef {import("../api.js").SourceItem} SourceItem */

const NAME = "camera"; // in the address

/**
 * The source that is enlarged. Its token stands in the page's address: a reload keeps it, and the
 * browser's way back closes it.
 * @param {{ find: (token: string) => SourceItem | null, onChange: () => void, signal: AbortSignal }} options
 */
export function makeEnlarged({ find, onChange, signal }) {
  /** @type {{ token: string, large: ReturnType<typeof openLarge> } | null} */
  let open = null;

  /** @param {SourceItem} source */
  const show = (source) => {
    const large = openLarge(source, () => {
      open = null;
      if (signal.aborted) return; // whoever signs in again finds it enlarged
      forget();
      onChange();
    });
    open = { token: source.strToken, large };
    onChange();
  };
  /** Show what the address says. */
  const follow = () => {
    const token = new URL(location.href).searchParams.get(NAME) ?? "";
    if (open?.token === token) return;
    open?.large.close();
    const source = token && find(token);
    if (source) show(source);
    else forget();
  };
  window.addEventListener("popstate", follow, { signal });

  return {
    follow,
    get isOpen() {
      return open !== null;
    },
    /** Somebody asks for it. @param {SourceItem} source */
    open(source) {
      const here = new URL(location.href);
      here.searchParams.set(NAME, source.strToken);
      history.pushState({ isEnlarged: true }, "", here);
      show(source);
    },
    /** Tell it what the server says now. */
    update() {
      const source = open && find(open.token);
      if (source) open?.large.update(source);
    },
  };
}

/** Take it out of the address: by the way back where that is the wall. */
function forget() {
  const here = new URL(location.href);
  if (!here.searchParams.has(NAME)) return;
  if (history.state?.isEnlarged) return history.back();
  here.searchParams.delete(NAME);
  history.replaceState(null, "", here);
}
