import { make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";

/**
 * The choice of where recordings are had from; hidden where there is none.
 * @param {import("../origin.js").Origin} origin
 * @param {() => void} onChange another was chosen
 */
export function makeOriginChoice(origin, onChange) {
  const own = make("option", { value: "server" }, t("pbOfServer"));
  const device = make("option", { value: "device" }, t("pbOfDevice"));
  const element = make("select", { class: "deck-select origin-choice", title: t("pbOrigin") });
  element.setAttribute("aria-label", t("pbOrigin"));
  element.append(own, device);
  element.hidden = !origin.hasDevice;
  const show = () => (element.value = origin.isDevice ? "device" : "server");
  show();
  /** @param {boolean} isDevice */
  const choose = (isDevice) => {
    origin.isDevice = isDevice;
    show();
    onChange();
  };
  element.onchange = () => choose(element.value === "device");

  return {
    element,
    /** Show what was chosen elsewhere. */
    show,
    /**
     * Where the recorder alone has a day, say so.
     * @param {import("../lib/daybook.js").DayBook} book
     * @param {ReturnType<typeof import("./note.js").makeNote>} note
     * @param {() => boolean} isShown whether it is that day that is shown
     */
    async offer(book, note, isShown) {
      if (!(await origin.isBetter(book)) || !isShown()) return;
      note.offer(t("pbDeviceHas"), t("pbShowDevice"), () => choose(true));
    },
  };
}
