// A tab that is opened beside others takes over who has signed in there.

import { session } from "./api.js";

const CHANNEL = "h5s_session";
const WAIT_MS = 150; // tabs answer within some milliseconds, if there are any
const KEPT = ["h5s_session", "h5s_role", "h5s_timeout", "h5s_default"];

/** Where this tab has no session ask the others for theirs, and from then on answer those that ask. */
export async function shareSession() {
  if (!("BroadcastChannel" in globalThis)) return;
  const channel = new BroadcastChannel(CHANNEL);
  if (!session()) await ask(channel);
  channel.onmessage = ({ data }) => {
    if (data?.type !== "ask" || !session()) return;
    const kept = KEPT.map((name) => [name, sessionStorage.getItem(name) ?? ""]);
    channel.postMessage({ type: "tell", kept: Object.fromEntries(kept) });
  };
}

/** @param {BroadcastChannel} channel */
function ask(channel) {
  return new Promise((done) => {
    const timer = setTimeout(done, WAIT_MS);
    channel.onmessage = ({ data }) => {
      if (data?.type !== "tell" || !data.kept?.["h5s_session"]) return;
      clearTimeout(timer);
      for (const name of KEPT) sessionStorage.setItem(name, String(data.kept[name] ?? ""));
      done(undefined);
    };
    channel.postMessage({ type: "ask" });
  });
}
