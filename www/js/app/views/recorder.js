import { ApiError, UnreachableError, deleteRecorder, recorders } from "../api.js";
import { iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { KINDS, tellRecorder } from "../lib/recorder.js";
import { field } from "./field.js";

/**
 * What a recorder is added by, and those that there are.
 * @param {() => void} onDeleted
 */
export function makeRecorder(onDeleted) {
  const host = make("input", { name: "recorder-host", required: true, spellcheck: false });
  host.autocapitalize = "off";
  host.maxLength = 255;
  const port = portInput("recorder-port", "1");
  port.required = true;
  const http = portInput("recorder-http", "0");
  const rtsp = portInput("recorder-rtsp", "0");
  http.placeholder = rtsp.placeholder = t("recorderFound");
  let isPortOwn = false;
  port.oninput = () => (isPortOwn = port.value !== "");
  const more = make(
    "details",
    { class: "onvif-more" },
    make("summary", {}, t("onvifMore")),
    make(
      "div",
      { class: "field-row" },
      field(t("recorderHttp"), http),
      field(t("recorderRtsp"), rtsp),
    ),
    make("p", { class: "muted" }, t("recorderPortsHint")),
  );
  const row = make(
    "div",
    { class: "onvif-place" },
    field(t("onvifHost"), host),
    field(t("recorderPort"), port),
  );
  const list = make("ul", { class: "recorders", "aria-label": t("recorders") });
  const inputs = [host, port, http, rtsp];
  return {
    head: make("div", { class: "onvif" }, row, more),
    foot: list,
    parameters: () => ({
      ip: host.value.trim(),
      port: port.value,
      httpport: http.value || "0",
      rtspport: rtsp.value || "0",
    }),
    /** @param {string} kind which is added; "" for none of them */
    enable(kind) {
      const usual = KINDS[kind]?.port;
      for (const input of inputs) input.disabled = !usual;
      if (!usual) return;
      if (!isPortOwn) port.value = usual;
      void fill(list, onDeleted);
    },
  };
}

/** @param {string} name @param {string} least */
function portInput(name, least) {
  const input = make("input", { name, type: "number" });
  input.min = least;
  input.max = "65535";
  return input;
}

/**
 * Show the recorders that there are.
 * @param {HTMLElement} list
 * @param {() => void} onDeleted
 */
async function fill(list, onDeleted) {
  try {
    list.replaceChildren(...(await recorders()).map((one) => itemOf(one, list, onDeleted)));
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof UnreachableError)) throw error;
    list.replaceChildren(); // what there is helps, but is not needed to add another
  }
}

/**
 * @param {import("../lib/recorder.js").Recorder} recorder
 * @param {HTMLElement} list
 * @param {() => void} onDeleted
 */
function itemOf(recorder, list, onDeleted) {
  const { strToken, strName, bOnline, bFixed } = recorder;
  const words = make(
    "div",
    {},
    make("strong", {}, strName || strToken),
    make("span", { class: bOnline ? "muted" : "is-bad" }, tellRecorder(recorder)),
  );
  const item = make("li", {}, words);
  if (bFixed) return item;
  const remove = iconButton("trash", t("delete", { name: strName || strToken }), async () => {
    if (!confirm(t("recorderDelete", { name: strName || strToken }))) return;
    remove.disabled = true;
    await deleteRecorder(strToken).catch(() => undefined); // the list says whether it is gone
    await fill(list, onDeleted);
    onDeleted();
  });
  item.append(remove);
  return item;
}
