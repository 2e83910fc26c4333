import { ApiError, UnreachableError, probeOnvif, searchOnvif } from "../api.js";
import { make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { newCameras, tellCamera, tellFailure, tellProfile } from "../lib/onvif.js";
import { field } from "./field.js";

const ROUNDS = 4; // of a search: what has answered is shown after each
const ROUND_S = 2;

/**
 * What an ONVIF camera is added by: found on the network or written down, then asked for its profiles.
 * @param {{ user: HTMLInputElement, password: HTMLInputElement, onFound: (name: string) => void }} options
 */
export function makeOnvif({ user, password, onFound }) {
  const place = makePlace();
  const { host, port, path, https } = place;
  const search = makeSearch((camera) => {
    host.value = camera.strIp;
    port.value = camera.strPort;
    path.value = camera.strOnvifAddr;
    https.checked = camera.bHttps;
    onFound(camera.strModel);
    profiles.forget();
    (user.value ? profiles.ask : user).focus();
  });
  const parameters = () => ({
    ip: host.value.trim(),
    port: port.value,
    user: user.value,
    password: password.value,
    onvifaddr: path.value.trim(),
    https: String(https.checked),
  });
  const profiles = makeProfiles(() => {
    if (![host, port].every((input) => input.reportValidity())) return null;
    return parameters();
  });
  const inputs = [host, port, path, https];
  for (const input of inputs) input.addEventListener("input", profiles.forget);
  return {
    head: make("div", { class: "onvif" }, search.element, place.element),
    foot: profiles.element,
    host,
    parameters: () => ({ ...parameters(), ...profiles.chosen() }),
    close: () => search.close(),
    /** @param {boolean} isOn whether this is what is added */
    enable(isOn) {
      for (const input of inputs) input.disabled = !isOn;
      if (!isOn) search.close();
    },
  };
}

/** Where the camera is. */
function makePlace() {
  const host = make("input", { name: "host", required: true, spellcheck: false, maxLength: 255 });
  host.autocapitalize = "off";
  host.placeholder = "192.168.1.64";
  const port = make("input", { name: "port", type: "number", required: true, value: "80" });
  port.min = "1";
  port.max = "65535";
  const path = make("input", { name: "onvifaddr", spellcheck: false, maxLength: 512 });
  path.placeholder = "/onvif/device_service";
  const https = make("input", { name: "https", type: "checkbox" });
  const row = make(
    "div",
    { class: "onvif-place" },
    field(t("onvifHost"), host),
    field(t("onvifPort"), port),
  );
  const more = make(
    "details",
    { class: "onvif-more" },
    make("summary", {}, t("onvifMore")),
    field(t("onvifPath"), path, t("onvifPathHint")),
    make("label", { class: "check" }, https, make("span", {}, t("onvifHttps"))),
  );
  return { element: make("div", { class: "onvif" }, row, more), host, port, path, https };
}

/**
 * A search of the network that shows what it finds as it finds it.
 * @param {(camera: import("../lib/onvif.js").FoundCamera) => void} onChoice
 */
function makeSearch(onChoice) {
  let running = 0; // which search is wanted; 0 for none
  const start = make("button", { type: "button", class: "button" }, t("onvifSearch"));
  const progress = make("progress", { max: ROUNDS, value: 0, hidden: true });
  progress.setAttribute("aria-label", t("onvifSearching"));
  const status = make("p", { class: "muted onvif-status", role: "status" });
  const list = make("ul", { class: "onvif-found" });

  /** @param {import("../lib/onvif.js").FoundCamera} camera */
  const add = (camera) => {
    const { name, where } = tellCamera(camera);
    const words = [make("strong", {}, name), make("span", { class: "muted" }, where)];
    const choose = make("button", { type: "button", class: "onvif-camera" }, ...words);
    choose.onclick = () => {
      close();
      onChoice(camera);
    };
    list.append(make("li", {}, choose));
  };
  const close = (says = "") => {
    running = 0;
    progress.hidden = true;
    start.textContent = t("onvifSearch");
    status.textContent = says;
  };
  const run = async () => {
    const mine = (running = performance.now());
    /** @type {import("../lib/onvif.js").FoundCamera[]} */
    const found = [];
    list.replaceChildren();
    progress.hidden = false;
    start.textContent = t("onvifStop");
    for (let round = 0; round < ROUNDS; round += 1) {
      progress.value = round;
      status.textContent = t("onvifSearchingFound", { n: found.length });
      const more = await searchOnvif(ROUND_S);
      if (running !== mine) return;
      const fresh = newCameras(found, more);
      found.push(...fresh);
      fresh.forEach(add);
    }
    close(found.length ? t("onvifFound", { n: found.length }) : t("onvifNone"));
  };
  start.onclick = () => {
    if (running) {
      close();
      return;
    }
    run().catch((error) => close(whyNot(error)));
  };
  const head = make("div", { class: "onvif-search" }, start, progress);
  return { element: make("div", { class: "onvif" }, head, status, list), close };
}

/**
 * What the camera offers, and which of it is to be shown.
 * @param {() => Parameters<typeof probeOnvif>[0] | null} whom
 */
function makeProfiles(whom) {
  const ask = make("button", { type: "button", class: "button" }, t("onvifAsk"));
  const status = make("p", { class: "onvif-status", role: "status" });
  const main = make("select", { name: "main" });
  const sub = make("select", { name: "sub" });
  const choice = make(
    "div",
    { class: "onvif", hidden: true },
    field(t("onvifMain"), main),
    field(t("onvifSub"), sub),
  );
  const automatic = () => make("option", { value: "" }, t("onvifAuto"));
  const forget = () => {
    main.replaceChildren(automatic());
    sub.replaceChildren(automatic());
    choice.hidden = true;
    status.textContent = "";
    status.classList.remove("is-bad");
  };
  ask.onclick = async () => {
    const camera = whom();
    if (!camera) return;
    forget();
    ask.disabled = true;
    status.textContent = t("onvifAsking");
    try {
      const profiles = await probeOnvif(camera);
      for (const profile of profiles.filter((one) => one.bGotUrl))
        for (const select of [main, sub])
          select.append(make("option", { value: profile.strToken }, tellProfile(profile)));
      choice.hidden = false;
      status.textContent = t("onvifProfiles", { n: main.options.length - 1 });
    } catch (error) {
      status.classList.add("is-bad");
      status.textContent = whyNot(error);
    }
    ask.disabled = false;
  };
  forget();
  const head = make("div", { class: "onvif-search" }, ask);
  const element = make("div", { class: "onvif" }, head, status, choice);
  return { element, ask, forget, chosen: () => ({ main: main.value, sub: sub.value }) };
}

/** @param {unknown} error @returns {string} */
function whyNot(error) {
  if (error instanceof UnreachableError) return t("unreachable");
  if (error instanceof ApiError) return tellFailure(error.answer) || error.message || t("expired");
  throw error;
}
