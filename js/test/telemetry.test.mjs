// ONNX Runtime's reports to its maker are off in Node.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { test } from "node:test";
import { DEFAULT_MODEL } from "./setup.mjs";

const PACKAGE = new URL("../dist/index.js", import.meta.url).href;
const SCORE = `
  import { Reranker } from ${JSON.stringify(PACKAGE)};
  const reranker = await Reranker.open(${JSON.stringify(DEFAULT_MODEL)}, { threads: 1 });
  console.log((await reranker.score("pain", ["Pain"])).length);
  await reranker.close();
`;

/** Files that a process leaves in a fresh home. */
function leftBehind(environment) {
  const home = mkdtempSync(join(tmpdir(), "home-"));
  const { ORT_DISABLE_TELEMETRY, CI, ORT_RUNNING_UNIT_TESTS, XDG_CACHE_HOME, ...others } = process.env;
  const env = { ...others, HOME: home, ...environment };
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", SCORE], { env, encoding: "utf8" });
  assert.equal(output, "1\n");
  return readdirSync(home, { recursive: true });
}

test("a process that reranks writes nothing into its home; one that allows the reports does", () => {
  assert.deepEqual(leftBehind({}), []);
  assert.ok(leftBehind({ ORT_DISABLE_TELEMETRY: "0" }).some((file) => file.endsWith("onnxruntime.db")));
});

test("a worker, whose variables native code can't see, is told to set it before", async () => {
  const { ORT_DISABLE_TELEMETRY, ...env } = process.env;
  const code = `import(${JSON.stringify(PACKAGE)}).then(({ Reranker }) => Reranker.open(${JSON.stringify(DEFAULT_MODEL)}))`;
  const worker = new Worker(code, { eval: true, env });
  const error = await new Promise((resolve) => worker.on("error", resolve));
  assert.match(error.message, /Set ORT_DISABLE_TELEMETRY=1 before the worker is started/);
});
