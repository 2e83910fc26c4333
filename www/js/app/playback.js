// The page playback.html: a day of one source, as it was recorded.

import {
  SignInError,
  UnreachableError,
  adoptSession,
  findSource,
  forgetSession,
  recorders,
  session,
} from "./api.js";
import { readPlace } from "./lib/address.js";
import { make } from "./lib/dom.js";
import { t } from "./lib/i18n.js";
import { language } from "./lib/prefs.js";
import { learnNames, recorderOf } from "./lib/recorder.js";
import { Origin } from "./origin.js";
import { shareSession } from "./tabs.js";
import { mountLogin } from "./views/login.js";
import { mountPlayback } from "./views/playback.js";

const RETRY_MS = 2000;

/** @type {() => void} */
let unmount = () => {};

/** @param {(root: HTMLElement) => () => void} mount */
function show(mount) {
  unmount();
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  unmount = mount(document.body);
}

/** @param {string} note */
function showLogin(note) {
  forgetSession();
  show((root) => mountLogin(root, { note, onDone: () => void start() }));
}

/** @param {string} text @param {boolean} [isLasting] */
function showNote(text, isLasting = true) {
  show((root) => {
    const link = make("a", { class: "button", href: "./" }, t("allCameras"));
    const note = make("main", { class: "login-page" }, make("p", { role: "alert" }, text), link);
    root.append(note);
    const timer = isLasting ? 0 : setTimeout(() => void start(), RETRY_MS);
    return () => {
      clearTimeout(timer);
      note.remove();
    };
  });
}

async function start() {
  const token = new URLSearchParams(location.search).get("token");
  if (!token) return showNote(t("noToken"));
  const hadSession = session() !== "";
  try {
    const source = await findSource(token);
    const place = readPlace(location.search); // now: it changes
    const origin = new Origin(token, source?.nType === "H5_CH_DEV", place.isDevice);
    if (recorderOf(token)) learnNames(await recorders().catch(() => []));
    show((root) => mountPlayback(root, { token, source, origin, place, onSignIn: showLogin }));
  } catch (error) {
    if (error instanceof SignInError) showLogin(hadSession ? t("expired") : "");
    else if (error instanceof UnreachableError) showNote(t("unreachable"), false);
    else throw error;
  }
}

adoptSession();
await shareSession();
document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
await start();
