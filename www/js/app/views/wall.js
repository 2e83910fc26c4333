import * as api from "../api.js";
import { H5sTile } from "../components/h5s-tile.js";
import { icon, iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { whoRests } from "../lib/places.js";
import { fallbackFor } from "../lib/playing.js";
import { openAdd, openDelete, openPassword } from "./dialogs.js";
import { makeHeader } from "./header.js";
import { openLarge } from "./large.js";

const POLL_MS = 4000;
const SIZES = ["one", "two", "few", "few", "six", "six", "nine", "nine", "nine"]; // for the styles
const CROWD = 4; // more tiles than this play the sub input

/**
 * All sources as live tiles.
 * @param {HTMLElement} root
 * @param {{ first: import("../api.js").SourceItem[], onSignIn: (note: string) => void, onLanguage: () => void }} options
 * @returns {() => void} takes the view away
 */
export function mountWall(root, { first, onSignIn, onLanguage }) {
  const gone = new AbortController();
  /** @type {Map<string, H5sTile>} */
  const tiles = new Map();
  /** @type {Set<Element>} */
  const inView = new Set();
  /** @type {{ token: string, update: (source: import("../api.js").SourceItem) => void } | null} */
  let large = null;
  const count = make("p", { class: "count muted", role: "status" });
  const note = make("p", { class: "banner is-bad", role: "alert", hidden: true });
  const wall = make("main", { class: "wall", "aria-label": t("title") });

  const refreshPlay = () => {
    const shown = [...tiles].map(([token, tile]) => ({
      isWanted: !large && inView.has(tile),
      overHls: fallbackFor(token).transport === "hls",
      isWorthPlaying: tile.isWorthPlaying,
    }));
    const rests = whoRests(shown);
    [...tiles.values()].forEach((tile, index) =>
      tile.play(shown[index]?.isWanted ?? false, rests[index] ?? false),
    );
  };
  const viewer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries)
        if (isIntersecting) inView.add(target);
        else inView.delete(target);
      refreshPlay();
    },
    { rootMargin: "80px" },
  );

  /** @param {import("../api.js").SourceItem[]} items */
  const show = (items) => {
    const isCrowded = items.length > CROWD;
    const now = new Set(items.map((item) => item.strToken));
    for (const [token, tile] of tiles) if (!now.has(token)) drop(token, tile);
    for (const item of items) tileOf(item).update(item, isCrowded);
    refreshPlay();
    const online = items.filter((item) => item.bOnline).length;
    count.textContent = items.length ? t("online", { online, all: items.length }) : "";
    wall.classList.toggle("is-empty", items.length === 0);
    wall.dataset["size"] = SIZES[items.length - 1] ?? "many";
    const enlarged = items.find((item) => item.strToken === large?.token);
    if (enlarged) large?.update(enlarged);
  };
  /** @param {import("../api.js").SourceItem} item */
  const tileOf = (item) => {
    const found = tiles.get(item.strToken);
    if (found) return found;
    const tile = new H5sTile();
    if (api.isAdministrator() && !item.bFixed) tile.allowRemoval();
    tiles.set(item.strToken, tile);
    wall.append(tile);
    viewer.observe(tile);
    return tile;
  };
  /**
   * @param {string} token
   * @param {H5sTile} tile
   */
  const drop = (token, tile) => {
    viewer.unobserve(tile);
    inView.delete(tile);
    tiles.delete(token);
    tile.remove();
  };

  const poll = async () => {
    try {
      show(await api.sources());
      note.hidden = true;
    } catch (error) {
      if (gone.signal.aborted) return;
      if (error instanceof api.SignInError) return onSignIn(t("expired"));
      note.textContent = error instanceof api.UnreachableError ? t("unreachable") : String(error);
      note.hidden = false;
    }
  };
  const repoll = () => void poll();
  const renag = () => void nag(view, header);

  wall.addEventListener("enlarge", (event) => {
    const source = event.target instanceof H5sTile ? event.target.source : null;
    if (!source) return;
    const update = openLarge(source, () => {
      large = null;
      refreshPlay();
    });
    large = { token: source.strToken, update };
    refreshPlay();
  });
  wall.addEventListener("remove", (event) => {
    const source = event.target instanceof H5sTile ? event.target.source : null;
    if (source) openDelete(source, repoll);
  });

  const header = makeHeader(count, {
    onTransport: () => {
      tiles.forEach((tile) => tile.play(false, false));
      refreshPlay();
    },
    onLanguage,
    onAdd: () => openAdd(repoll),
    onPassword: () => openPassword(renag),
    onSignIn: () => onSignIn(""),
    onSignOut: () => void api.logout().finally(() => onSignIn("")),
  });
  const view = make("div", { class: "wall-page" }, header, note, wall, emptyNote());
  root.append(view);
  show(first);
  renag();
  const timers = [
    setInterval(repoll, POLL_MS),
    setInterval(() => tiles.forEach((tile) => tile.check()), 1000),
    setInterval(() => void api.stayAlive(), (api.sessionTimeout() * 1000) / 3),
  ];

  return () => {
    gone.abort();
    timers.forEach(clearInterval);
    viewer.disconnect();
    view.remove();
  };
}

/** What stands where tiles would. */
function emptyNote() {
  const hint = t(api.isAdministrator() ? "emptyHint" : "emptyViewer");
  const words = [make("h2", {}, t("empty")), make("p", { class: "muted" }, hint)];
  return make("div", { class: "empty" }, icon("camera"), ...words);
}

/**
 * Remind of the default password until it is changed.
 * @param {HTMLElement} view
 * @param {HTMLElement} after
 */
async function nag(view, after) {
  view.querySelector(".banner.is-nag")?.remove();
  const isDefault = await api.hasDefaultPassword().catch(() => false);
  if (!isDefault || !view.isConnected) return;
  const hide = iconButton("close", t("dismiss"), () => banner.remove());
  const change = make("button", { type: "button", class: "button is-compact" }, t("changeIt"));
  change.onclick = () => openPassword(() => void nag(view, after));
  const banner = make(
    "div",
    { class: "banner is-nag", role: "note" },
    make("p", {}, t("defaultPassword")),
    make("div", { class: "spacer" }),
    change,
    hide,
  );
  after.after(banner);
}
