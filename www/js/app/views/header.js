import { isAdministrator, session } from "../api.js";
import { ORDER } from "../lib/fallback.js";
import { icon, iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { wayName } from "../lib/playing.js";
import {
  chooseLanguage,
  chooseTransport,
  language,
  toggleTheme,
  transport,
} from "../lib/prefs.js";

const HINTS = { ws: "transportWsHint", rtc: "transportRtcHint", hls: "transportHlsHint" };

/**
 * @typedef {object} HeaderActions
 * @property {() => void} onTransport
 * @property {() => void} onLanguage
 * @property {() => void} onAdd
 * @property {() => void} onPassword
 * @property {() => void} onSignIn
 * @property {() => void} onSignOut
 */

/**
 * The bar above the wall.
 * @param {HTMLElement[]} first what stands beside the name
 * @param {HTMLElement} recorders opens what there is of them
 * @param {HeaderActions} actions
 */
export function makeHeader(first, recorders, actions) {
  const add = make(
    "button",
    { type: "button", class: "button is-primary is-compact", on: { click: actions.onAdd } },
    icon("add"),
    make("span", {}, t("add")),
  );
  const other = language() === "zh" ? "en" : "zh";
  const words = make(
    "button",
    { type: "button", class: "icon-button", title: t("languageHint"), lang: other },
    t("language"),
  );
  words.onclick = () => {
    chooseLanguage(other);
    actions.onLanguage();
  };
  return make(
    "header",
    { class: "top" },
    make("div", { class: "brand" }, icon("camera"), make("h1", {}, "h5sup")),
    ...first,
    make("div", { class: "spacer" }),
    isAdministrator() ? add : null,
    recorders,
    transportChoice(actions.onTransport),
    words,
    iconButton("sun", t("theme"), toggleTheme),
    session() ? iconButton("key", t("changePassword"), actions.onPassword) : null,
    session()
      ? iconButton("leave", t("signOut"), actions.onSignOut)
      : iconButton("enter", t("signIn"), actions.onSignIn),
  );
}

/** @param {() => void} onChange */
function transportChoice(onChange) {
  const group = make("div", {
    class: "segments",
    role: "radiogroup",
    "aria-label": t("transport"),
  });
  for (const value of ORDER) {
    const input = make("input", { type: "radio", name: "transport", value });
    input.checked = transport() === value;
    input.onchange = () => {
      chooseTransport(value);
      onChange();
    };
    const word = make("span", {}, wayName(value));
    group.append(make("label", { title: t(HINTS[value]) }, input, word));
  }
  return group;
}
