import { icon, iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { toggleTheme } from "../lib/prefs.js";
import { nameOf } from "../lib/recorder.js";

/**
 * The bar above a playback: the source, and the day that is shown.
 * @param {string} token
 * @param {import("../api.js").SourceItem | null} source
 * @param {HTMLElement} choice of where recordings are had from
 * @param {HTMLElement} days
 */
export function makePlaybackTop(token, source, choice, days) {
  const name = nameOf(source ?? { strName: "", strToken: token });
  const home = make("a", { class: "icon-button", href: "./", title: t("allCameras") });
  home.setAttribute("aria-label", t("allCameras"));
  home.append(icon("wall"));
  const chip = make("span", { class: "chip playback-recorded", hidden: true }, t("pbRecorded"));
  const live = make("a", { class: "button is-compact", hidden: !source }, t("stateLive"));
  live.href = `ws.html?${new URLSearchParams({ token })}`;
  const element = make(
    "header",
    { class: "top" },
    home,
    make("h1", { class: "playback-name", dir: "auto", title: name }, name),
    chip,
    days,
    choice,
    make("div", { class: "spacer" }),
    live,
    iconButton("sun", t("theme"), toggleTheme),
  );
  document.title = `${t("pbTitle", { name })} – h5sup`;

  return {
    element,
    /** @param {boolean} isRecorded now */
    update(isRecorded) {
      chip.hidden = !isRecorded;
    },
  };
}
