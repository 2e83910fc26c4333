// What a viewer chose, kept in this browser.

/** @typedef {"ws" | "rtc" | "hls"} Transport */

/** @returns {Transport} */
export function transport() {
  const chosen = localStorage.getItem("h5s_transport");
  return chosen === "rtc" || chosen === "hls" ? chosen : "ws";
}

/** @param {Transport} value */
export function chooseTransport(value) {
  localStorage.setItem("h5s_transport", value);
}

/** Whether the page is dark now, by choice or by the system. */
export function isDark() {
  const chosen = document.documentElement.dataset["theme"];
  if (chosen) return chosen === "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Change between light and dark. */
export function toggleTheme() {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset["theme"] = theme;
  localStorage.setItem("h5s_theme", theme);
}

/** @returns {"en" | "zh"} */
export function language() {
  const chosen = localStorage.getItem("h5s_language") ?? navigator.language;
  return chosen.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** @param {"en" | "zh"} value */
export function chooseLanguage(value) {
  localStorage.setItem("h5s_language", value);
}
