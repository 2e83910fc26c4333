import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

const kept = new Map([["h5s_session", "the id"]]);
globalThis.sessionStorage = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, value) => kept.set(name, value),
  removeItem: (name) => kept.delete(name),
};
const { ApiError, changePassword } = await import("../../../www/js/app/api.js");

const md5 = (text) => createHash("md5").update(text).digest("hex");

/** Answer every request, and keep what was asked. */
function serve(answers) {
  const asked = [];
  globalThis.fetch = async (path, options) => {
    asked.push({ path, method: options.method ?? "GET", body: String(options.body ?? "") });
    return new Response(JSON.stringify(answers.shift()));
  };
  return asked;
}

test("a new password leaves the page as an MD5, in no address", async () => {
  const asked = serve([{ strUser: "vera & co" }, { bStatus: true, strCode: "done" }]);
  kept.set("h5s_default", "true");

  await changePassword("12345", "correct horse");

  assert.match(asked[0].path, /^api\/v1\/GetUserInfo\?/);
  assert.deepEqual([asked[1].path, asked[1].method], ["api/v1/UpdateUser", "POST"]);
  assert.deepEqual(Object.fromEntries(new URLSearchParams(asked[1].body)), {
    user: "vera & co",
    oldpassword: md5("12345"),
    newpassword: md5("correct horse"),
    session: "the id",
  });
  assert.equal(kept.has("h5s_default"), false);
});

test("a refusal is told in the server's words", async () => {
  serve([{ strUser: "vera" }, { bStatus: false, strCode: "user or password is wrong" }]);

  await assert.rejects(changePassword("a", "b"), (error) => {
    assert.ok(error instanceof ApiError);
    assert.equal(error.message, "user or password is wrong");
    return true;
  });
});
