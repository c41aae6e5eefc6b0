// The code in the guide and in the README really runs.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { generated } from "./setup.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

for (const page of ["docs/guides/javascript.md", "js/README.md"]) {
  test(`${page} runs`, () => {
    const blocks = [...readFileSync(`${ROOT}${page}`, "utf8").matchAll(/^```js\n(.*?)^```/gms)];
    assert.ok(blocks.length);
    const file = generated("guide.mjs");
    writeFileSync(file, blocks.map((match) => match[1]).join("\n"));
    assert.match(execFileSync(process.execPath, [fileURLToPath(file)], { cwd: ROOT, encoding: "utf8" }), /Nephrolithiasis/);
  });
}
