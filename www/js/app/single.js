// The pages ws.html, rtc.html and hls.html: one source, as large as the window.

import { SignInError, UnreachableError, adoptSession, recorders, sources } from "./api.js";
import { icon, make } from "./lib/dom.js";
import { t } from "./lib/i18n.js";
import { fixedTransport } from "./lib/playing.js";
import { language } from "./lib/prefs.js";
import { learnNames, nameOf, recorderOf } from "./lib/recorder.js";
import { sentence } from "./lib/state.js";
import { shareSession } from "./tabs.js";
import { makeStage } from "./views/stage.js";

const POLL_MS = 4000;

/** @param {string} text @param {boolean} [isSignIn] */
function showNote(text, isSignIn = false) {
  const link = make("a", { class: "button", href: "./" }, t(isSignIn ? "signIn" : "allCameras"));
  const note = make("main", { class: "login-page" }, make("p", { role: "alert" }, text), link);
  document.body.replaceChildren(note);
}

/** @param {string} token */
function play(token) {
  const wish = /** @type {import("./lib/prefs.js").Transport} */ (
    document.body.dataset["transport"]
  );
  const hlsver = new URLSearchParams(location.search).get("ver") === "v2" ? "v2" : "v1";
  const home = make("a", { class: "icon-button", href: "./", title: t("allCameras") });
  home.setAttribute("aria-label", t("allCameras"));
  home.append(icon("wall"));
  const stage = makeStage(token, { fallback: fixedTransport(wish), hlsver, buttons: [home] });
  document.body.replaceChildren(stage.element);
  void (async () => {
    if (recorderOf(token)) learnNames(await recorders().catch(() => []));
    await follow(token, stage);
  })();
}

/**
 * Ask every few seconds what the server knows of the source; the player looks after itself.
 * @param {string} token
 * @param {import("./views/stage.js").Stage} stage
 */
async function follow(token, stage) {
  try {
    const source = (await sources(token)).find((item) => item.strToken === token);
    if (!source) return end(stage, t("noSource", { token }));
    document.title = `${nameOf(source)} – h5sup`;
    stage.update(source);
  } catch (error) {
    if (error instanceof SignInError) return end(stage, t("needSignIn"), true);
    if (!(error instanceof UnreachableError))
      return end(stage, sentence(error instanceof Error ? error.message : String(error)));
  }
  setTimeout(() => void follow(token, stage), POLL_MS);
}

/**
 * @param {import("./views/stage.js").Stage} stage
 * @param {string} text
 * @param {boolean} [isSignIn]
 */
function end(stage, text, isSignIn = false) {
  stage.close();
  showNote(text, isSignIn);
}

document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
adoptSession();
const token = new URLSearchParams(location.search).get("token");
if (token) {
  await shareSession();
  play(token);
} else showNote(t("noToken"));
