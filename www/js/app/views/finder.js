import { make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { nameOf } from "../lib/recorder.js";

const CROWD = 9; // more than these don't fit the window

/**
 * A field that leaves on the wall what is called as was typed; only there while there are many.
 * @param {Map<string, import("../components/h5s-tile.js").H5sTile>} tiles
 */
export function makeFinder(tiles) {
  const element = make("input", { type: "search", class: "finder", placeholder: t("find") });
  element.setAttribute("aria-label", t("find"));
  element.autocomplete = "off";
  element.hidden = true;
  const none = make("p", { class: "muted finder-none", role: "status" });

  const apply = () => {
    element.hidden = tiles.size <= CROWD;
    const words = element.hidden ? [] : element.value.toLowerCase().split(/\s+/);
    let count = 0;
    for (const tile of tiles.values()) {
      const name = tile.source ? nameOf(tile.source).toLowerCase() : "";
      tile.hidden = !words.every((word) => name.includes(word));
      if (!tile.hidden) count += 1;
    }
    none.textContent = count || !tiles.size ? "" : t("findNone", { words: element.value });
  };
  element.oninput = apply;
  return { element, none, apply };
}
