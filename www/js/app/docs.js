// The page api.html, also found at /api/docs: every call, and a form to try those that only read.

import { SignInError, adoptSession, description, forgetSession } from "./api.js";
import { make } from "./lib/dom.js";
import { t } from "./lib/i18n.js";
import { language } from "./lib/prefs.js";
import { shareSession } from "./tabs.js";
import { mountLogin } from "./views/login.js";
import { mountReference } from "./views/reference.js";

/** The list is for who may look: whoever may not signs in first. */
async function start() {
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  try {
    mountReference(document.body, await description());
  } catch (error) {
    if (error instanceof SignInError) signIn();
    else showUnreachable();
  }
}

function signIn() {
  forgetSession();
  const unmount = mountLogin(document.body, {
    note: "",
    onDone: () => {
      unmount();
      void start();
    },
  });
}

function showUnreachable() {
  const note = make("p", { role: "alert" }, t("unreachable"));
  document.body.replaceChildren(make("main", { class: "login-page" }, note));
}

adoptSession();
await shareSession();
await start();
