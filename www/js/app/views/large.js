import { iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { nameOf } from "../lib/recorder.js";
import { fallbackFor } from "../lib/playing.js";
import { makeStage } from "./stage.js";

/**
 * One source over the whole wall.
 * @param {import("../api.js").SourceItem} source
 * @param {() => void} onClose
 * @returns {{ update: (source: import("../api.js").SourceItem) => void, close: () => void }} update tells it what the server says now
 */
export function openLarge(source, onClose) {
  const token = source.strToken;
  const fallback = fallbackFor(token);
  const alone = iconButton("alone", t("alone"), () => {
    const query = new URLSearchParams({ token });
    if (fallback.transport === "hls") query.set("ver", "v2");
    window.open(`${fallback.transport}.html?${query}`, "_blank");
  });
  const close = iconButton("close", t("close"), () => dialog.close());
  const stage = makeStage(token, { fallback, buttons: [alone, close] });
  const label = nameOf(source);
  const dialog = make("dialog", { class: "large", "aria-label": label }, stage.element);
  dialog.onclose = () => {
    stage.close();
    dialog.remove();
    onClose();
  };
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
  stage.update(source);
  return { update: stage.update, close: () => dialog.close() };
}
