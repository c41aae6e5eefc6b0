/** One ONNX Runtime session over a bundle's graph, and one run of it. */

import type { InferenceSession, Tensor } from "onnxruntime-common";
import type { Bundle } from "../bundle/bundle.js";
import { PREFIX_KV_FILE } from "../bundle/manifest.js";
import { BundleError, ProviderError } from "../errors.js";
import type { Batch, TokenIds } from "../prompt.js";
import { PrefixKV, readPrefix, type Shape, type Values } from "./kv-cache.js";
import type { Provider, Runtime } from "./providers.js";

const STANDARD_INPUTS = ["attention_mask", "input_ids"];
const SHARING_INPUTS = ["attention_mask", "input_ids", "keep_rows", "past"];
/** How onnxruntime-common begins to say that WebAssembly could not be loaded. */
const NOT_STARTED = "no available backend";

/** A graph that is ready to run. */
export class Session {
  /**
   * @param runtime the onnxruntime package and what it can do here.
   * @param session its session.
   * @param prefix what all prompts of the bundle begin with, run at export; without tokens where the bundle has none,
   * and null if the graph can't share prefixes.
   * @param joinsPast whether the graph's `present` is the whole past of what follows (cuda), or its run's own part.
   */
  constructor(
    private readonly runtime: Runtime,
    private readonly session: InferenceSession,
    readonly provider: Provider,
    readonly prefix: PrefixKV | null,
    private readonly joinsPast: boolean,
  ) {}

  /** Run one left-padded batch; returns the logits of "no" and "yes" after each row's last token, (batch, 2). */
  async logits(batch: Batch, prefix: PrefixKV | null): Promise<Float32Array> {
    const feed = this.feed(batch.inputIds, batch.attentionMask, batch.shape);
    const past = prefix ?? this.prefix?.first(0);
    const shared = past ? { past: this.tensorOf(past), keep_rows: this.int64([0n], [1]) } : {};
    const { logits } = await this.session.run({ ...feed, ...shared }, ["logits"]);
    return logits!.data as Float32Array;
  }

  /** The prefix `ids`, which begins with `prefix`; only the tokens after that are run. */
  async extend(prefix: PrefixKV, ids: TokenIds): Promise<PrefixKV> {
    const own = BigInt64Array.from(ids.subarray(prefix.ids.length), BigInt);
    const feed = this.feed(own, new BigInt64Array(own.length).fill(1n), [1, own.length]);
    const shared = { past: this.tensorOf(prefix), keep_rows: this.int64([1n], [1]) };
    const { present } = await this.session.run({ ...feed, ...shared }, ["present"]);
    const values = valuesOf(present!);
    if (!this.joinsPast) return prefix.followedBy(ids, values);
    return new PrefixKV(ids, values, present!.dims.slice(1) as unknown as Shape);
  }

  /** How many threads compute. */
  get threads(): number {
    return this.runtime.threads;
  }

  /** Give back the session's memory. */
  async release(): Promise<void> {
    await this.session.release();
  }

  private feed(ids: BigInt64Array, mask: BigInt64Array, shape: readonly number[]): Record<string, Tensor> {
    return { input_ids: this.int64(ids, shape), attention_mask: this.int64(mask, shape) };
  }

  private int64(values: BigInt64Array | bigint[], shape: readonly number[]): Tensor {
    return new this.runtime.ort.Tensor("int64", BigInt64Array.from(values), shape);
  }

  private tensorOf({ values, shape }: PrefixKV): Tensor {
    const type = values instanceof Float32Array ? "float32" : "float16";
    return new this.runtime.ort.Tensor(type, values as Float32Array, shape);
  }
}

/** What a tensor holds; newer engines have a Float16Array where older ones have the bits. */
function valuesOf(tensor: Tensor): Values {
  const data = tensor.data as Float32Array | Uint16Array;
  if (data instanceof Float32Array || data instanceof Uint16Array) return data;
  const { buffer, byteOffset, byteLength } = data as ArrayBufferView;
  return new Uint16Array(buffer, byteOffset, byteLength / 2);
}

/**
 * Load a bundle's graph into ONNX Runtime.
 *
 * @throws BundleError the graph can't be loaded or does not have the inputs and outputs of a reranker.
 * @throws ProviderError ONNX Runtime can't be started here, or can't load the graph on this provider.
 */
export async function openSession(bundle: Bundle, runtime: Runtime, provider: Provider): Promise<Session> {
  const { graph, files } = bundle.manifest;
  const place = `${bundle.source.place}${graph.file}`;
  const opened = await openGraph(bundle, runtime, provider, place);
  const joinsPast = graph.kind === "cuda";
  if (graph.kind === "standard") {
    checkNames(opened, STANDARD_INPUTS, place);
    return new Session(runtime, opened, provider, null, joinsPast);
  }
  checkNames(opened, SHARING_INPUTS, place);
  const empty = emptyPrefix(opened, place);
  const own = PREFIX_KV_FILE in files;
  const prefix = own ? readPrefix(await bundle.read(PREFIX_KV_FILE), empty, `${bundle.source.place}${PREFIX_KV_FILE}`) : empty;
  return new Session(runtime, opened, provider, prefix, joinsPast);
}

async function openGraph(
  bundle: Bundle,
  runtime: Runtime,
  provider: Provider,
  place: string,
): Promise<InferenceSession> {
  const { source, manifest } = bundle;
  const { InferenceSession } = runtime.ort;
  const [graph, ...weights] = await Promise.all([manifest.graph.file, ...bundle.weightFiles].map((name) => bundle.check(name)));
  try {
    const options = await runtime.options(manifest.graph.precision, provider);
    if (!graph) return await InferenceSession.create(source.path!(manifest.graph.file), options);
    const externalData = bundle.weightFiles.map((path, index) => ({ path, data: weights[index]! }));
    return await InferenceSession.create(graph, { ...options, externalData });
  } catch (error) {
    const { message } = error as Error;
    const reason = `ONNX Runtime can't load ${place} (${message})`;
    if (provider !== "cpu") throw new ProviderError(`${reason} on ${provider}; take provider "cpu".`);
    if (message.startsWith(NOT_STARTED)) {
      throw new ProviderError(
        `ONNX Runtime can't be started (${message}): put its .mjs and .wasm files beside your script, and allow` +
          " 'wasm-unsafe-eval' in script-src where the page has a Content-Security-Policy.",
      );
    }
    throw new BundleError(`${reason}; export the bundle again.`);
  }
}

function checkNames({ inputNames, outputNames }: InferenceSession, expected: string[], place: string): void {
  const inputs = [...inputNames].sort();
  if (String(inputs) === String(expected) && outputNames.includes("logits")) return;
  throw new BundleError(
    `${place} has inputs ${inputs.join(", ")} and outputs ${outputNames.join(", ")}, where a reranker has` +
      ` ${expected.join(", ")} and logits; export the checkpoint with \`aatm-onnx export\`.`,
  );
}

function emptyPrefix({ inputMetadata }: InferenceSession, place: string): PrefixKV {
  const past = inputMetadata.find(({ name }) => name === "past");
  if (!past?.isTensor || past.shape.length !== 5) {
    throw new BundleError(`${place} takes keys and values of another shape; export the bundle again.`);
  }
  const shape = past.shape.map((size) => (typeof size === "number" ? size : 0)) as unknown as Shape;
  const values = past.type === "float16" ? new Uint16Array(0) : new Float32Array(0);
  return new PrefixKV(new Int32Array(0), values, shape);
}
