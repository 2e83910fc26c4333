/**
 * One call, as api.html shows it.
 * @typedef {object} Operation
 * @property {string} name
 * @property {string} chapter
 * @property {string} summary
 * @property {string} description
 * @property {string} role empty where nobody needs to be signed in
 * @property {boolean} reads whether it changes nothing, so that a page may try it
 * @property {Parameter[]} parameters
 */

/** @typedef {{ name: string, required: boolean, takes: string, preset: string }} Parameter */

/** @typedef {Record<string, unknown>} Json */

const PREFIX = "/api/v1/";

/**
 * The calls of an OpenAPI document, in its order. What posts also changes something.
 * @param {Json} document
 * @returns {Operation[]}
 */
export function operations(document) {
  const paths = /** @type {Record<string, Record<string, Json>>} */ (document["paths"] ?? {});
  return Object.entries(paths).map(([path, item]) => {
    const get = item["get"] ?? {};
    return {
      name: path.replace(PREFIX, ""),
      chapter: String(/** @type {string[]} */ (get["tags"] ?? [])[0] ?? ""),
      summary: String(get["summary"] ?? ""),
      description: String(get["description"] ?? ""),
      role: String(get["x-role"] ?? ""),
      reads: item["post"] === undefined,
      parameters: /** @type {Json[]} */ (get["parameters"] ?? []).map(parameter),
    };
  });
}

/**
 * @param {Json} declared
 * @returns {Parameter}
 */
function parameter(declared) {
  const schema = /** @type {Json} */ (declared["schema"] ?? {});
  return {
    name: String(declared["name"]),
    required: declared["required"] === true,
    takes: String(declared["description"] ?? ""),
    preset: "default" in schema ? String(schema["default"]) : "",
  };
}

/**
 * The calls by chapter: the manual's first, by number, and what is beyond it last.
 * @param {Operation[]} all
 * @returns {[string, Operation[]][]}
 */
export function byChapter(all) {
  /** @type {Map<string, Operation[]>} */
  const found = new Map();
  for (const one of all) found.set(one.chapter, [...(found.get(one.chapter) ?? []), one]);
  const rank = (/** @type {string} */ chapter) => (chapter.startsWith("manual") ? 0 : 1);
  return [...found].sort(([a], [b]) => rank(a) - rank(b) || a.localeCompare(b));
}

/**
 * Whether a call is looked for: every word stands in its name, its sentence or a parameter.
 * @param {Operation} one
 * @param {string} wanted
 */
export function matches(one, wanted) {
  const names = one.parameters.map(({ name }) => name);
  const text = [one.name, one.description, ...names].join(" ").toLowerCase();
  return wanted
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
