import * as api from "../api.js";
import { iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { restOf, tellPlace, tellRecorder } from "../lib/recorder.js";
import { explain } from "./exporter.js";
import { field } from "./field.js";
import { openForm } from "./form.js";

/** @typedef {import("../lib/recorder.js").Recorder} Recorder */

/**
 * One recorder of the list: how it fares, its channels, another login, the way out.
 * @param {string} token
 * @param {() => void} onChange
 */
export function makeRecorderRow(token, onChange) {
  /** @type {Recorder | null} */
  let shown = null;
  const name = make("strong", { dir: "auto" });
  const place = make("span", { class: "muted" });
  const state = make("span", { class: "recorder-state" });
  const words = make("div", { class: "recorder-words" }, name, place, state);
  const login = iconButton("key", t("recorderLogin"), () => shown && openLogin(shown, onChange));
  const remove = iconButton("trash", "", () => shown && askToDelete(shown, onChange));
  const buttons = make("div", { class: "recorder-buttons" }, login, remove);
  const channels = makeChannels(token);
  const head = make("div", { class: "recorder-head" }, words, buttons);
  const element = make("li", {}, head, channels);

  return {
    element,
    /** @param {Recorder} recorder as the server tells it now */
    update(recorder) {
      shown = recorder;
      const called = recorder.strName || token;
      name.textContent = called;
      place.textContent = tellPlace(recorder);
      const told = tellRecorder(recorder);
      if (state.textContent !== told) state.textContent = told;
      state.classList.toggle("is-bad", !recorder.bOnline);
      label(login, t("recorderLoginOf", { name: called }));
      label(remove, t("delete", { name: called }));
      const mayChange = api.isAdministrator() && !recorder.bFixed;
      remove.hidden = !mayChange;
      login.hidden = !mayChange;
      place.title = recorder.bFixed ? t("recorderFixed") : "";
      channels.hidden = recorder.nChannels === 0;
    },
  };
}

/** @param {HTMLElement} button @param {string} text */
function label(button, text) {
  button.title = text;
  button.setAttribute("aria-label", text);
}

/** Its channels, asked for when somebody wants to see them. @param {string} token */
function makeChannels(token) {
  const list = make("ul", { class: "recorder-channels" });
  const element = make(
    "details",
    { class: "onvif-more" },
    make("summary", {}, t("recorderChannels")),
    list,
  );
  element.ontoggle = async () => {
    if (!element.open) return;
    try {
      list.replaceChildren(...(await api.recorderChannels(token)).map(channel));
    } catch (error) {
      list.replaceChildren(make("li", { class: "is-bad" }, explain(error)));
    }
  };
  return element;
}

/** @param {api.SourceItem} source */
function channel(source) {
  const { strToken: token, strName, bOnline } = source;
  const link = make("a", { dir: "auto" }, strName || token);
  link.href = `ws.html?${new URLSearchParams({ token })}`;
  const word = t(bOnline ? "stateReady" : "stateOffline");
  const item = make("li", {}, link, make("span", { class: "chip" }, word));
  item.dataset["tone"] = bOnline ? "live" : "bad";
  return item;
}

/** @param {Recorder} recorder @param {() => void} onChange */
function askToDelete(recorder, onChange) {
  const act = async () => {
    await api.deleteRecorder(recorder.strToken);
    onChange();
  };
  const text = t("recorderDelete", { name: recorder.strName || recorder.strToken });
  const title = t("recorderDeleteTitle");
  openForm({ title, action: t("deleteYes"), isDanger: true, act }, make("p", {}, text));
}

/** @param {Recorder} recorder @param {() => void} onChange */
function openLogin(recorder, onChange) {
  const user = make("input", { name: "recorder-user", autocomplete: "off", maxLength: 128 });
  user.value = recorder.strUser;
  const password = make("input", { name: "recorder-password", type: "password", maxLength: 128 });
  password.autocomplete = "new-password";
  const act = async () => {
    const login = { token: recorder.strToken, user: user.value, password: password.value };
    const answer = await api.changeRecorderLogin(login);
    onChange();
    const failure = restOf(answer);
    if (failure) throw new api.ApiError(failure); // it may be typed again
  };
  openForm(
    { title: t("recorderLogin"), action: t("change"), act },
    make("p", { class: "muted" }, t("recorderLoginHint")),
    field(t("cameraUser"), user),
    field(t("cameraPassword"), password),
  );
  password.focus();
}
