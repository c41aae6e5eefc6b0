/** The manifest of a bundle, bundle.json: what the graph computes, for which prompt, from which files. */

import { BundleError } from "../errors.js";
import { readAs, type TypeOf } from "./typed-json.js";

export const FORMAT_VERSION = 2;
export const MANIFEST_FILE = "bundle.json";
export const TOKENIZER_FILE = "tokenizer.json";
export const CONFORMANCE_FILE = "conformance.json";
export const PREFIX_KV_FILE = "prefix_kv.npz";

/** What of bundle.json this package uses; the Python package's manifest.py says what the fields mean. */
const MANIFEST = {
  source: { checkpoint: "string" },
  config: { vocab_size: "number" },
  graph: { kind: "string", precision: "string", file: "string", tolerance: "number", difference: "number" },
  prompt: { task: "string", prefix: "string", suffix: "string", prefix_ids: ["number"], suffix_ids: ["number"] },
  pad_token_id: "number",
  max_length: "number",
  files: { "*": { size: "number", sha256: "string" } },
} as const;

export type Manifest = TypeOf<typeof MANIFEST>;
export type FileEntry = Manifest["files"][string];

/**
 * Read and check bundle.json.
 *
 * @param text its content.
 * @param place what to call it in errors.
 */
export async function readManifest(text: string, place: string): Promise<Manifest> {
  let content: Record<string, unknown>;
  try {
    content = JSON.parse(text) as Record<string, unknown>;
    if (content === null || typeof content !== "object") throw new SyntaxError("it is not an object");
  } catch (error) {
    throw new BundleError(`${place} is not a manifest (${(error as Error).message}); export the bundle again.`);
  }
  if (content["format_version"] !== FORMAT_VERSION) {
    throw new BundleError(
      `${place} has format version ${JSON.stringify(content["format_version"])}, and this package reads` +
        ` ${FORMAT_VERSION}; export the checkpoint again or install the matching package.`,
    );
  }
  let manifest: Manifest;
  try {
    manifest = readAs(MANIFEST, content);
  } catch (error) {
    throw new BundleError(`${place} is damaged: ${(error as Error).message}; export or copy the bundle again.`);
  }
  if (content["seal"] !== (await sealOf(text))) {
    throw new BundleError(
      `${place} was altered: its seal is not that of its content; export or copy the bundle again, and give another` +
        " task or maxLength to Reranker.open instead.",
    );
  }
  checkTokenIds(manifest, place);
  checkFiles(manifest, place);
  return manifest;
}

function checkTokenIds({ prompt, config, pad_token_id }: Manifest, place: string): void {
  for (const token of [...prompt.prefix_ids, ...prompt.suffix_ids, pad_token_id]) {
    if (!(Number.isInteger(token) && token >= 0 && token < config.vocab_size)) {
      throw new BundleError(
        `${place} is damaged: its vocabulary of ${config.vocab_size} has no token ${token}; copy it again.`,
      );
    }
  }
}

function checkFiles({ files, graph }: Manifest, place: string): void {
  for (const needed of [graph.file, TOKENIZER_FILE, CONFORMANCE_FILE]) {
    if (!(needed in files)) throw new BundleError(`${place} does not list ${needed}; export the bundle again.`);
  }
  for (const name of Object.keys(files)) {
    if (/[/\\:]|^\.\.?$/.test(name)) throw new BundleError(`${place} lists ${name}, which is outside the bundle.`);
  }
}

/**
 * Hex sha256 of a manifest's content without its seal, as canonical JSON: keys sorted, no spaces, ASCII.
 *
 * Python and JavaScript write some numbers differently (7e-06 and 0.000007), so numbers keep the text that they have.
 */
export async function sealOf(text: string): Promise<string> {
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
    token.startsWith('"') ? `"s${token.slice(1)}` : `"n${token}"`,
  );
  const content = JSON.parse(marked) as Record<string, unknown>;
  delete content["sseal"];
  return sha256Hex(new TextEncoder().encode(canonical(content)));
}

/** Canonical JSON of a value whose strings and keys begin with "s" and whose numbers are strings with "n". */
function canonical(value: unknown): string {
  if (typeof value === "string") return value.startsWith("n") ? value.slice(1) : ascii(JSON.stringify(value.slice(1)));
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${canonical(name)}:${canonical(member)}`).join(",")}}`;
}

function ascii(json: string): string {
  return json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Hex sha256 of some bytes. */
export async function sha256Hex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await digester().digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function digester(): SubtleCrypto {
  const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle;
  if (!subtle) throw new BundleError("Browsers can check a bundle only on pages that come by https or from localhost.");
  return subtle;
}
