import * as api from "../api.js";
import { H5sTile } from "../components/h5s-tile.js";
import { make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { whoRests } from "../lib/places.js";
import { fallbackFor } from "../lib/playing.js";
import { openAdd, openDelete, openPassword } from "./dialogs.js";
import { makeEnlarged } from "./enlarged.js";
import { makeFinder } from "./finder.js";
import { makeHeader } from "./header.js";
import { makeRecorders } from "./recorders.js";
import { emptyNote, nag } from "./wall-notes.js";

const POLL_MS = 4000;
const RECORDERS_MS = 20_000;
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
  const count = make("p", { class: "count muted", role: "status" });
  const note = make("p", { class: "banner is-bad", role: "alert", hidden: true });
  const wall = make("main", { class: "wall", "aria-label": t("title") });

  const refreshPlay = () => {
    const shown = [...tiles].map(([token, tile]) => ({
      isWanted: !enlarged.isOpen && inView.has(tile),
      overHls: fallbackFor(token).transport === "hls",
      isWorthPlaying: tile.isWorthPlaying,
    }));
    const rests = whoRests(shown);
    [...tiles.values()].forEach((tile, index) =>
      tile.play(shown[index]?.isWanted ?? false, rests[index] ?? false),
    );
  };
  const finder = makeFinder(tiles);
  const enlarged = makeEnlarged({
    find: (token) => tiles.get(token)?.source ?? null,
    onChange: refreshPlay,
    signal: gone.signal,
  });
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
    finder.apply();
    refreshPlay();
    const online = items.filter((item) => item.bOnline).length;
    count.textContent = items.length ? t("online", { online, all: items.length }) : "";
    wall.classList.toggle("is-empty", items.length === 0);
    wall.dataset["size"] = SIZES[items.length - 1] ?? "many";
    enlarged.update();
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
  const repoll = () => {
    void poll();
    void recorders.poll();
  };
  const recorders = makeRecorders(repoll);
  const renag = () => void nag(view, header);

  wall.addEventListener("enlarge", (event) => {
    const source = event.target instanceof H5sTile ? event.target.source : null;
    if (source) enlarged.open(source);
  });
  wall.addEventListener("remove", (event) => {
    const source = event.target instanceof H5sTile ? event.target.source : null;
    if (source) openDelete(source, repoll);
  });

  const header = makeHeader([count, finder.element], recorders.button, {
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
  const view = make("div", { class: "wall-page" }, header, note, finder.none, wall, emptyNote());
  root.append(view);
  show(first);
  enlarged.follow();
  void recorders.poll();
  renag();
  const timers = [
    setInterval(() => void poll(), POLL_MS),
    setInterval(() => void recorders.poll(), RECORDERS_MS),
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
