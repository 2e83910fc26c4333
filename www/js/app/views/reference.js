import { tryCall } from "../api.js";
import { make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { byChapter, matches, operations } from "../lib/openapi.js";

/** @typedef {import("../lib/openapi.js").Operation} Operation */

/**
 * All calls of the API, by chapter.
 * @param {HTMLElement} root
 * @param {Record<string, unknown>} document as OpenAPI describes it
 */
export function mountReference(root, document) {
  const all = operations(document);
  const shown = all.map((one) => ({ one, element: makeOperation(one) }));
  const elements = new Map(shown.map(({ one, element }) => [one, element]));
  const sections = byChapter(all).map(([chapter, calls]) => {
    const children = calls.map((one) => elements.get(one) ?? null);
    return make("section", {}, make("h2", {}, chapter), ...children);
  });
  const search = make("input", { type: "search", name: "search" });
  search.addEventListener("input", () => {
    for (const { one, element } of shown) element.hidden = !matches(one, search.value);
    for (const section of sections)
      section.hidden = section.querySelector("details:not([hidden])") === null;
  });
  const main = make(
    "main",
    { class: "reference" },
    make(
      "header",
      {},
      make("h1", {}, t("apiTitle")),
      make("p", { class: "muted" }, t("apiLead"), " ", link("./", t("allCameras")), " · "),
      make("label", { class: "field" }, make("span", {}, t("apiSearch")), search),
    ),
    ...sections,
  );
  main.querySelector("p")?.append(link("api/v1/openapi.json", "openapi.json"));
  root.replaceChildren(main);
}

/** @param {string} href @param {string} text */
function link(href, text) {
  return make("a", { href }, text);
}

/** @param {Operation} one */
function makeOperation(one) {
  const summary = make(
    "summary",
    {},
    make("code", {}, one.name),
    make("span", { class: "muted" }, one.summary),
  );
  const role = one.role ? t("apiRole", { role: one.role }) : t("apiPublic");
  const body = make(
    "div",
    {},
    make("p", {}, one.description),
    make("p", { class: "muted" }, role),
  );
  body.append(one.reads ? makeForm(one) : makeList(one));
  return make("details", { class: "card operation", id: one.name }, summary, body);
}

/**
 * What a call takes that only a program should make.
 * @param {Operation} one
 */
function makeList(one) {
  const lines = one.parameters.map(({ name, required, takes }) =>
    make("li", {}, make("code", {}, name), ` ${required ? t("apiRequired") : ""} ${takes}`),
  );
  return make("ul", {}, ...lines);
}

/** @param {Operation} one */
function makeForm(one) {
  const fields = one.parameters.map(({ name, required, takes, preset }) =>
    make(
      "label",
      { class: "field" },
      make("span", {}, name, required ? ` (${t("apiRequired")})` : ""),
      make("input", { name, required, placeholder: preset }),
      make("small", { class: "muted" }, takes),
    ),
  );
  const output = make("pre", { "aria-live": "polite" });
  const form = make(
    "form",
    {},
    ...fields,
    make("button", { class: "button", type: "submit" }, t("apiTry")),
    output,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void show(one.name, new FormData(form), output);
  });
  return form;
}

/**
 * @param {string} name
 * @param {FormData} given
 * @param {HTMLElement} output
 */
async function show(name, given, output) {
  const filled = [...given].filter(([, value]) => value !== "");
  output.textContent = "…";
  try {
    output.textContent = await tryCall(
      name,
      Object.fromEntries(filled.map(([key, value]) => [key, String(value)])),
    );
  } catch {
    output.textContent = t("unreachable");
  }
}
