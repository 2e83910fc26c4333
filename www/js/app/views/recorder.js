import { make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { KINDS } from "../lib/recorder.js";
import { field } from "./field.js";

/** What a recorder is added by. */
export function makeRecorder() {
  const host = make("input", { name: "recorder-host", required: true, spellcheck: false });
  host.autocapitalize = "off";
  host.maxLength = 255;
  host.placeholder = "192.168.1.64";
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
  const inputs = [host, port, http, rtsp];
  return {
    head: make("div", { class: "onvif" }, row, more),
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
