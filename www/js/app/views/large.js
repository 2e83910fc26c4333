import { iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { transport } from "../lib/prefs.js";
import { makeStage } from "./stage.js";

/**
 * One source over the whole wall.
 * @param {import("../api.js").SourceItem} source
 * @param {() => void} onClose
 * @returns {(source: import("../api.js").SourceItem) => void} tells it what the server says now
 */
export function openLarge(source, onClose) {
  const kind = transport();
  const page = kind === "hls" ? "hls.html" : "ws.html";
  const alone = iconButton("alone", t("alone"), () => {
    const query = new URLSearchParams({
      token: source.strToken,
      ...(kind === "hls" && { ver: "v2" }),
    });
    window.open(`${page}?${query}`, "_blank");
  });
  const close = iconButton("close", t("close"), () => dialog.close());
  const stage = makeStage(source.strToken, { transport: kind, buttons: [alone, close] });
  const label = source.strName || source.strToken;
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
  return stage.update;
}
