/**
 * Make an element. Properties are set on it, "class" and names with a dash as attributes; `on` holds
 * listeners; strings become text, never markup.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "on") listen(element, /** @type {Record<string, EventListener>} */ (value));
    else if (name === "class" || name.includes("-")) element.setAttribute(name, String(value));
    else Reflect.set(element, name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * @param {HTMLElement} element
 * @param {Record<string, EventListener>} listeners
 */
function listen(element, listeners) {
  for (const [type, listener] of Object.entries(listeners))
    element.addEventListener(type, listener);
}

/** @type {Record<string, string>} outlines on a 24 by 24 grid */
const SHAPES = {
  add: "M12 5v14M5 12h14",
  less: "M5 12h14",
  move: "M12 3v18M3 12h18M9 6l3-3 3 3M9 18l3 3 3-3M6 9l-3 3 3 3M18 9l3 3-3 3",
  up: "M12 19V5M6 11l6-6 6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  left: "M19 12H5M11 6l-6 6 6 6",
  right: "M5 12h14M13 6l6 6-6 6",
  upleft: "M17 17L7 7M15 7H7v8",
  upright: "M7 17L17 7M9 7h8v8",
  downleft: "M17 7L7 17M15 17H7V9",
  downright: "M7 7l10 10M9 17h8V9",
  dark: "M19 14a8 8 0 1 1-9-9 6 6 0 0 0 9 9",
  again: "M20 12a8 8 0 1 1-2.3-5.7L20 8M20 4v4h-4",
  wiper: "M3 16a12 12 0 0 1 18 0M12 20L6 12M12 20h.1",
  close: "M6 6l12 12M18 6L6 18",
  trash: "M4 7h16M10 11v6M14 11v6M6 7l1 13h10l1-13M9 7V4h6v3",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5",
  leave: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
  enter: "M10 4H5v16h5M13 8l4 4-4 4M17 12H8",
  key: "M14 10a4 4 0 1 0-4 4l1-1h2v-2h2zM12 12l8 8M17 17l2-2",
  full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  sound: "M4 10v4h4l5 4V6l-5 4zM16.5 9a4 4 0 0 1 0 6M19 6.5a8 8 0 0 1 0 11",
  silent: "M4 10v4h4l5 4V6l-5 4zM17 10l4 4M21 10l-4 4",
  alone: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  back: "M15 5l-7 7 7 7",
  on: "M9 5l7 7-7 7",
  calendar: "M4 6h16v14H4zM4 10h16M8 3v4M16 3v4",
  history: "M4 12a8 8 0 1 0 3-6.2L4 8M4 4v4h4M12 8v4l3 2",
  play: "M7 4.5v15l12-7.5z",
  pause: "M8 5v14M16 5v14",
  previous: "M18 5v14l-10-7zM5 5v14",
  next: "M6 5v14l10-7zM19 5v14",
  back10: "M11 6L5 12l6 6M19 6l-6 6 6 6",
  on10: "M13 6l6 6-6 6M5 6l6 6-6 6",
  picture: "M3 8h4l2-3h6l2 3h4v11H3zM12 10a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  cut: "M7 5H4v14h3M17 5h3v14h-3M12 7v9M8.5 12.5L12 16l3.5-3.5",
  record: "M12 5a7 7 0 1 0 0 14 7 7 0 0 0 0-14M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6",
  stop: "M7 7h10v10H7z",
  closer: "M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12M15.5 15.5L20 20M11 8v6M8 11h6",
  further: "M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12M15.5 15.5L20 20M8 11h6",
  recorder: "M3 6h18v12H3zM3 13h18M7 16h.1M11 16h6",
  wall: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  camera: "M3 7h12v10H3zM15 11l6-3v8l-6-3",
};

/**
 * A small outline drawing in the colour of the text around it.
 * @param {string} name
 */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", SHAPES[name] ?? "");
  svg.append(path);
  return svg;
}

/**
 * A button that shows an icon and tells its name to who cannot see it.
 * @param {string} shape
 * @param {string} label
 * @param {() => void} onClick
 */
export function iconButton(shape, label, onClick) {
  const properties = { type: "button", class: "icon-button", title: label, "aria-label": label };
  return make("button", { ...properties, on: { click: onClick } }, icon(shape));
}
