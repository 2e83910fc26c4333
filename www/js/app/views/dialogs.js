import {
  addAddress,
  addFile,
  addOnvif,
  addRecorder,
  changePassword,
  deleteRecorder,
  deleteSource,
} from "../api.js";
import { make } from "../lib/dom.js";
import { suggestToken } from "../lib/figures.js";
import { t } from "../lib/i18n.js";
import { KINDS, nameOf, recorderName, recorderOf, tellAdded } from "../lib/recorder.js";
import { field } from "./field.js";
import { openForm } from "./form.js";
import { makeOnvif } from "./onvif.js";
import { makeRecorder } from "./recorder.js";

/** Add a source. @param {() => void} onDone */
export function openAdd(onDone) {
  const kind = make(
    "select",
    { name: "kind" },
    make("option", { value: "address" }, t("kindAddress")),
    make("option", { value: "onvif" }, t("kindOnvif")),
    make("option", { value: "hik" }, t("kindHik")),
    make("option", { value: "dahua" }, t("kindDahua")),
    make("option", { value: "file" }, t("kindFile")),
  );
  const name = make("input", { name: "name", required: true, maxLength: 64 });
  const token = make("input", { name: "token", required: true, maxLength: 64 });
  token.pattern = "[A-Za-z0-9_.\\-]{1,64}";
  token.autocapitalize = "off";
  const url = make("input", { name: "url", required: true, spellcheck: false });
  const user = make("input", { name: "camera-user", autocomplete: "off" });
  const password = make("input", { name: "camera-password", type: "password" });
  password.autocomplete = "new-password";
  const audio = make("input", { name: "audio", type: "checkbox" });
  const urlLabel = field(t("url"), url, t("urlHint"));
  const account = make(
    "div",
    { class: "field-row" },
    field(t("cameraUser"), user),
    field(t("cameraPassword"), password),
  );

  let isTokenOwn = false;
  token.oninput = () => (isTokenOwn = token.value !== "");
  name.oninput = () => {
    if (!isTokenOwn) token.value = suggestToken(name.value);
  };
  const onFound = (/** @type {string} */ model) => {
    name.value ||= model.slice(0, name.maxLength);
    name.dispatchEvent(new Event("input"));
  };
  const onvif = makeOnvif({ user, password, onFound });
  const recorder = makeRecorder();
  kind.onchange = () => {
    const isFile = kind.value === "file";
    const isOnvif = kind.value === "onvif";
    account.hidden = isFile;
    onvif.head.hidden = onvif.foot.hidden = !isOnvif;
    onvif.enable(isOnvif);
    const isRecorder = kind.value in KINDS;
    recorder.head.hidden = !isRecorder;
    recorder.enable(isRecorder ? kind.value : "");
    urlLabel.hidden = url.disabled = isOnvif || isRecorder;
    const [label, hint] = isFile ? [t("file"), t("fileHint")] : [t("url"), t("urlHint")];
    urlLabel.replaceChildren(...field(label, url, hint).childNodes);
  };

  const act = async () => {
    const named = { token: token.value, name: name.value };
    const source = { ...named, url: url.value };
    const sound = { audio: String(audio.checked) };
    const login = { user: user.value, password: password.value };
    const maker = KINDS[kind.value];
    if (maker) {
      const answer = await addRecorder(maker.call, {
        ...named,
        ...recorder.parameters(),
        ...login,
        ...sound,
      });
      onDone();
      return tellAdded(answer);
    }
    if (kind.value === "file") await addFile({ ...source, ...sound });
    else if (kind.value === "onvif") await addOnvif({ ...named, ...onvif.parameters(), ...sound });
    else await addAddress({ ...source, ...sound, ...login });
    onDone();
    return "";
  };
  kind.dispatchEvent(new Event("change"));
  openForm(
    { title: t("add"), action: t("save"), act, onClose: onvif.close },
    field(t("kind"), kind),
    onvif.head,
    recorder.head,
    field(t("name"), name),
    urlLabel,
    account,
    onvif.foot,
    field(t("token"), token, t("tokenHint")),
    make("label", { class: "check" }, audio, make("span", {}, t("audio"))),
  );
  name.focus();
}

/**
 * Ask, then delete a source, or the recorder of a channel.
 * @param {import("../api.js").SourceItem} source
 * @param {() => void} onDone
 */
export function openDelete(source, onDone) {
  const name = nameOf(source);
  const recorder = recorderOf(source.strToken);
  const act = async () => {
    await (recorder ? deleteRecorder(recorder) : deleteSource(source.strToken));
    onDone();
  };
  const title = t(recorder ? "recorderDeleteTitle" : "deleteTitle");
  const text = recorder
    ? t("recorderDelete", { name: recorderName(source.strToken) })
    : t("deleteText", { name });
  openForm({ title, action: t("deleteYes"), isDanger: true, act }, make("p", {}, text));
}

/** Give whoever is signed in another password. @param {() => void} onDone */
export function openPassword(onDone) {
  const old = make("input", { type: "password", required: true, name: "old-password" });
  old.autocomplete = "current-password";
  const fresh = make("input", { type: "password", required: true, name: "new-password" });
  const again = make("input", { type: "password", required: true, name: "new-password-again" });
  fresh.autocomplete = again.autocomplete = "new-password";
  const compare = () =>
    again.setCustomValidity(again.value === fresh.value ? "" : t("notTheSame"));
  fresh.oninput = again.oninput = compare;
  const act = async () => {
    await changePassword(old.value, fresh.value);
    onDone();
  };
  openForm(
    { title: t("changePassword"), action: t("change"), act },
    field(t("oldPassword"), old),
    field(t("newPassword"), fresh, t("newPasswordHint")),
    field(t("repeatPassword"), again),
  );
  old.focus();
}
