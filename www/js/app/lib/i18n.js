import { language } from "./prefs.js";
import { WORDS } from "./words.js";

/**
 * A sentence in the viewer's language; {name} is replaced by values.name.
 * @param {string} key of WORDS
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const sentence = WORDS[key]?.[language() === "zh" ? 1 : 0];
  if (sentence === undefined) throw new Error(`no words for ${key}`);
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}
