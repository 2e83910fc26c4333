// The page index.html: the wall where it may be seen, else the form to sign in.

import { SignInError, adoptSession, forgetSession, learnRole, session, sources } from "./api.js";
import { make } from "./lib/dom.js";
import { t } from "./lib/i18n.js";
import { language } from "./lib/prefs.js";
import { shareSession } from "./tabs.js";
import { mountLogin } from "./views/login.js";
import { mountWall } from "./views/wall.js";

const RETRY_MS = 2000;

/** @type {() => void} */
let unmount = () => {};

/** @param {(root: HTMLElement) => () => void} mount */
function show(mount) {
  unmount();
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  unmount = mount(document.body);
}

/** @param {string} note */
function showLogin(note) {
  forgetSession();
  show((root) => mountLogin(root, { note, onDone: () => void start() }));
}

/** Without a session the server may still let anyone watch: it is asked first. */
async function start() {
  const hadSession = session() !== "";
  try {
    const first = await sources();
    await learnRole();
    const onLanguage = () => void start();
    show((root) => mountWall(root, { first, onSignIn: showLogin, onLanguage }));
  } catch (error) {
    if (error instanceof SignInError) showLogin(hadSession ? t("expired") : "");
    else showUnreachable();
  }
}

function showUnreachable() {
  show((root) => {
    const note = make(
      "main",
      { class: "login-page" },
      make("p", { role: "alert" }, t("unreachable")),
    );
    root.append(note);
    const timer = setTimeout(() => void start(), RETRY_MS);
    return () => {
      clearTimeout(timer);
      note.remove();
    };
  });
}

adoptSession();
await shareSession();
await start();
