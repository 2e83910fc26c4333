import { ApiError, UnreachableError, login } from "../api.js";
import { icon, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";

/**
 * The form to sign in.
 * @param {HTMLElement} root
 * @param {{ note: string, onDone: () => void }} options note stands above the form
 * @returns {() => void} takes the view away
 */
export function mountLogin(root, { note, onDone }) {
  const user = make("input", { name: "user", required: true, autocomplete: "username" });
  const password = make("input", {
    name: "password",
    type: "password",
    required: true,
    autocomplete: "current-password",
  });
  const alert = make("p", { class: "form-error", role: "alert" }, note);
  const submit = make("button", { class: "button is-primary", type: "submit" }, t("signIn"));

  /** @param {Event} event */
  async function onSubmit(event) {
    event.preventDefault();
    submit.disabled = true;
    submit.textContent = t("signingIn");
    try {
      await login(user.value, password.value);
      onDone();
    } catch (error) {
      alert.textContent = explain(error);
      password.select();
    } finally {
      submit.disabled = false;
      submit.textContent = t("signIn");
    }
  }

  const form = make(
    "form",
    { class: "card login", on: { submit: onSubmit } },
    make("div", { class: "login-head" }, icon("camera"), make("h1", {}, "h5sup")),
    make("p", { class: "muted" }, t("lead")),
    make("label", { class: "field" }, make("span", {}, t("user")), user),
    make("label", { class: "field" }, make("span", {}, t("password")), password),
    alert,
    submit,
  );
  const main = make("main", { class: "login-page" }, form);
  root.append(main);
  user.focus();
  return () => main.remove();
}

/** @param {unknown} error */
function explain(error) {
  if (error instanceof UnreachableError) return t("unreachable");
  if (!(error instanceof ApiError)) throw error;
  const seconds = Number(error.answer["tLockTimeResidue"]);
  return seconds > 0 ? t("locked", { seconds }) : error.message;
}
