import assert from "node:assert/strict";
import { test } from "node:test";

const { byChapter, matches, operations } = await import(
  new URL("../../../www/js/app/lib/openapi.js", import.meta.url)
);

const DOCUMENT = {
  paths: {
    "/api/v1/cluster/GetClusterStatus": {
      get: { tags: ["beyond the manual"], summary: "Alone", "x-role": "Viewer" },
    },
    "/api/v1/DelSrc": {
      get: {
        tags: ["manual 5.3"],
        summary: "Deletes a source",
        description: "Deletes a source for good.",
        "x-role": "Administrator",
        parameters: [
          { name: "token", required: true, description: "a text", schema: { type: "string" } },
          { name: "audio", schema: { type: "boolean", default: false } },
        ],
      },
      post: {},
    },
    "/api/v1/Login": { get: { tags: ["manual 5.2"], "x-role": "" }, post: {} },
  },
};

test("a document becomes calls with what they take", () => {
  const [cluster, remove] = operations(DOCUMENT);
  assert.equal(cluster.name, "cluster/GetClusterStatus");
  assert.equal(cluster.reads, true);
  assert.deepEqual(remove, {
    name: "DelSrc",
    chapter: "manual 5.3",
    summary: "Deletes a source",
    description: "Deletes a source for good.",
    role: "Administrator",
    reads: false,
    parameters: [
      { name: "token", required: true, takes: "a text", preset: "" },
      { name: "audio", required: false, takes: "", preset: "false" },
    ],
  });
  assert.deepEqual(operations({}), []);
});

test("the manual's chapters come first, by number", () => {
  const chapters = byChapter(operations(DOCUMENT)).map(([chapter]) => chapter);
  assert.deepEqual(chapters, ["manual 5.2", "manual 5.3", "beyond the manual"]);
});

test("a search looks at names, sentences and parameters, word by word", () => {
  const [, remove] = operations(DOCUMENT);
  for (const wanted of ["", "delsrc", "for GOOD", "token  source"])
    assert.ok(matches(remove, wanted));
  assert.ok(!matches(remove, "token camera"));
});
