// The package's types, found by every way in which TypeScript looks for a package.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const JS = fileURLToPath(new URL("..", import.meta.url));
const RIGHT = 'r.score("a", ["b"]).then(([score]) => score?.toFixed(2))';
const WRONG = 'r.score("a", ["b"]).then(([score]) => score?.text)';

let folder;
before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "types-"));
  fs.mkdirSync(path.join(folder, "node_modules", "@aatm-onnx"), { recursive: true });
  fs.symlinkSync(JS, path.join(folder, "node_modules", "@aatm-onnx", "rerank"));
});
after(() => fs.rmSync(folder, { recursive: true }));

/** What the compiler says of a user's file, and whether it takes it. */
function compiled(body, module, moduleResolution) {
  const file = path.join(folder, "user.mts");
  fs.writeFileSync(file, `import { Reranker } from "@aatm-onnx/rerank";\nexport const use = (r: Reranker) => ${body};\n`);
  const tsc = path.join(JS, "node_modules", "typescript", "bin", "tsc");
  const options = ["--noEmit", "--strict", "--target", "es2022", "--module", module];
  const run = spawnSync(process.execPath, [tsc, ...options, "--moduleResolution", moduleResolution, file]);
  return { taken: run.status === 0, said: String(run.stdout) };
}

for (const [module, resolution] of [["esnext", "node"], ["nodenext", "nodenext"], ["esnext", "bundler"]]) {
  test(`moduleResolution ${resolution}`, () => {
    const right = compiled(RIGHT, module, resolution);
    assert.ok(right.taken, right.said);
    assert.match(compiled(WRONG, module, resolution).said, /'text' does not exist on type 'number'/);
  });
}
