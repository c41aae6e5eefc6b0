/** A bundle: everything a score depends on, and its conformance vectors. */

import { BundleError } from "../errors.js";
import { CONFORMANCE_FILE, type FileEntry, type Manifest, MANIFEST_FILE, readManifest, sha256Hex } from "./manifest.js";
import type { Source } from "./source.js";
import { readAs } from "./typed-json.js";

/** How far the loading of a bundle is. */
export interface Progress {
  /** The file whose bytes came last. */
  file: string;
  /** Bytes of the files that are needed, so far. */
  loaded: number;
  /** Bytes of all files that are needed. */
  total: number;
}

/** One pair, the token ids of its whole prompt, and the logits of "no" and "yes" that these must give. */
export interface ConformanceVector {
  query: string;
  document: string;
  input_ids: number[];
  logits: number[];
  /** Of int4: what the graph gives where activations are not quantized to 8 bits, as in WebAssembly. */
  float_activation_logits: number[] | undefined;
}

const VECTORS = [
  {
    query: "string",
    document: "string",
    input_ids: ["number"],
    logits: ["number"],
    float_activation_logits: { "?": ["number"] },
  },
] as const;

/** An opened bundle: where its files are, and its manifest. No file is used before its size and sha256 are right. */
export class Bundle {
  private readonly loaded = new Map<string, number>();

  private constructor(
    readonly source: Source,
    readonly manifest: Manifest,
    private readonly onProgress?: (progress: Progress) => void,
  ) {}

  /**
   * Read and check a bundle's manifest.
   *
   * @throws BundleError there is none, or it is damaged, altered, or of another format.
   */
  static async open(source: Source, onProgress?: (progress: Progress) => void): Promise<Bundle> {
    const bytes = await source.read(MANIFEST_FILE);
    const text = new TextDecoder().decode(bytes);
    return new Bundle(source, await readManifest(text, `${source.place}${MANIFEST_FILE}`), onProgress);
  }

  /** The files that hold the graph's weights, beside the graph. */
  get weightFiles(): string[] {
    const { files, graph } = this.manifest;
    return Object.keys(files).filter((name) => name.startsWith(`${graph.file}.`));
  }

  /**
   * The content of one file.
   *
   * @throws BundleError it is missing, or not what the manifest says.
   */
  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.entry(name);
    const bytes = await this.source.read(name, entry.size, (loaded) => this.report(name, loaded));
    this.compare(name, await sha256Hex(bytes));
    return bytes;
  }

  /** Prove that a file is what the manifest says, without keeping it, where the source can. Else returns its content. */
  async check(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (!this.source.sha256) return this.read(name);
    const { size } = this.entry(name);
    this.compare(name, await this.source.sha256(name, size, (loaded) => this.report(name, loaded)));
    return undefined;
  }

  /**
   * Read the conformance vectors.
   *
   * @throws BundleError they can't be read, there are none, or they are not for the manifest's prompt.
   */
  async conformance(): Promise<ConformanceVector[]> {
    const place = `${this.source.place}${CONFORMANCE_FILE}`;
    const json = new TextDecoder().decode(await this.read(CONFORMANCE_FILE));
    let vectors: ConformanceVector[];
    try {
      vectors = readAs(VECTORS, JSON.parse(json));
    } catch (error) {
      throw new BundleError(`${place}: the conformance vectors can't be read (${(error as Error).message}).`);
    }
    const { prefix_ids: prefix, suffix_ids: suffix } = this.manifest.prompt;
    vectors.forEach(({ input_ids: ids, logits, float_activation_logits: inFloat }, index) => {
      const begins = prefix.every((id, at) => ids[at] === id);
      const ends = suffix.every((id, at) => ids[ids.length - suffix.length + at] === id);
      if (logits.length !== 2 || (inFloat ?? logits).length !== 2 || !begins || !ends) {
        throw new BundleError(`${place}: vector ${index} is not for the prompt in ${MANIFEST_FILE}; export again.`);
      }
    });
    if (vectors.some((vector) => !vector.float_activation_logits !== !vectors[0]!.float_activation_logits)) {
      throw new BundleError(`${place}: only some vectors have float_activation_logits; export again.`);
    }
    if (!vectors.length) throw new BundleError(`${place} has no conformance vectors, so nothing can be proved.`);
    return vectors;
  }

  private entry(name: string): FileEntry {
    const entry = this.manifest.files[name];
    if (!entry) throw new BundleError(`${this.source.place}${MANIFEST_FILE} does not list ${name}; export again.`);
    return entry;
  }

  private compare(name: string, sha256: string): void {
    if (sha256 === this.entry(name).sha256) return;
    throw new BundleError(
      `${this.source.place}${name} was altered: its sha256 is not the manifest's; export or copy it again.`,
    );
  }

  private report(file: string, loaded: number): void {
    if (file === CONFORMANCE_FILE) return; // read by `verify` alone
    this.loaded.set(file, loaded);
    const { files } = this.manifest;
    const total = Object.keys(files).reduce((sum, name) => sum + (name === CONFORMANCE_FILE ? 0 : files[name]!.size), 0);
    this.onProgress?.({ file, total, loaded: [...this.loaded.values()].reduce((sum, bytes) => sum + bytes, 0) });
  }
}
