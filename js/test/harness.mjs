// A folder that a page with `Reranker` is served from.
import { cpSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));

/** Write the page and onnxruntime-web's files. */
export async function writePage(folder) {
  const runtime = join(HERE, "..", "node_modules", "onnxruntime-web", "dist");
  for (const file of readdirSync(runtime).filter((name) => /^ort-wasm-simd-threaded\.(asyncify\.)?(mjs|wasm)$/.test(name))) {
    cpSync(join(runtime, file), join(folder, file));
  }
  writeFileSync(join(folder, "index.html"), '<!doctype html><title>Harness</title><script type="module" src="harness.js"></script>');
  await build({
    entryPoints: [join(HERE, "harness.ts")],
    outdir: folder,
    bundle: true,
    format: "esm",
    alias: { "@aatm-onnx/rerank": join(HERE, "..", "dist", "index.js") },
    conditions: ["onnxruntime-web-use-extern-wasm"],
  });
}
