// Builds the page into a folder that any static host can serve: `node build.mjs [OUTPUT] [BUNDLE]`.
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { marked } from "marked";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(HERE);
const output = resolve(process.argv[2] ?? join(ROOT, "build", "web"));
const bundle = resolve(process.argv[3] ?? join(ROOT, "models", "default"));
const LARGE = 1_000_000; // files of more bytes are packed, for hosts that compress nothing
const WASM = ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];

rmSync(output, { recursive: true, force: true });
mkdirSync(output, { recursive: true });
for (const file of ["index.html", "style.css", "icon.svg"]) cpSync(join(HERE, "web", file), join(output, file));
for (const file of WASM) cpSync(join(HERE, "node_modules", "onnxruntime-web", "dist", file), join(output, file));
const { files } = JSON.parse(readFileSync(join(bundle, "bundle.json"), "utf8"));
mkdirSync(join(output, "model"));
const packed = Object.keys(files).filter((file) => files[file].size > LARGE);
for (const file of ["bundle.json", ...Object.keys(files)]) {
  const content = readFileSync(join(bundle, file));
  if (packed.includes(file)) writeFileSync(join(output, "model", `${file}.packed`), gzipSync(content, { level: 9 }));
  else writeFileSync(join(output, "model", file), content);
}
writeFileSync(join(output, "card.html"), card());

const options = {
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  outdir: output,
  alias: { "@aatm-onnx/rerank": join(HERE, "dist", "index.js") },
  conditions: ["onnxruntime-web-use-extern-wasm"], // threads start from a file of their own
  logLevel: "warning",
};
await build({
  ...options,
  entryPoints: ["main.ts", "worker.ts"].map((file) => join(HERE, "web", file)),
  define: { PACKED: JSON.stringify(packed) },
  external: ["onnxruntime-web/webgpu"], // the page computes on the CPU alone
  plugins: [{ name: "example", setup: exampleModule }],
});
const listed = readdirSync(output, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(output.length + 1))
  .sort();
const hash = createHash("sha256");
for (const file of listed) hash.update(file).update(readFileSync(join(output, file)));
await build({
  ...options,
  entryPoints: [join(HERE, "web", "service-worker.ts")],
  define: { FILES: JSON.stringify(["./", ...listed]), VERSION: JSON.stringify(hash.digest("hex").slice(0, 16)) },
});
console.log(`${output}: ${listed.length + 1} files`);

/** `./example.js` is one line of examples/terms.jsonl: what the page shows first. */
function exampleModule({ onResolve, onLoad }) {
  onResolve({ filter: /^\.\/example\.js$/ }, () => ({ path: "example", namespace: "example" }));
  onLoad({ filter: /.*/, namespace: "example" }, () => {
    const lines = readFileSync(join(ROOT, "examples", "terms.jsonl"), "utf8").trim().split("\n").map(JSON.parse);
    const example = lines.find(({ query }) => query === "low blood sugar") ?? lines[0];
    return { contents: `export const EXAMPLE = ${JSON.stringify(example)};`, loader: "js" };
  });
}

/** The model's card as a page; its links to files lead to the repository, and its picture comes along. */
function card() {
  const source = readFileSync(join(ROOT, "models", "README.md"), "utf8");
  const pictures = [...source.matchAll(/!\[[^\]]*\]\(([\w.-]+)\)/g)].map((match) => match[1]);
  for (const file of pictures) cpSync(join(ROOT, "models", file), join(output, file));
  const html = marked.parse(source).replace(/<a href="(?!https?:|#)[^"]*">(.*?)<\/a>/gs, "$1");
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>The model's card</title>
    <link rel="icon" href="icon.svg" />
    <link rel="stylesheet" href="style.css" />
  </head>
  <body class="card">
    <p><a href="./">Back to the page</a></p>
    ${html}
  </body>
</html>
`;
}
