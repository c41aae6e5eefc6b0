/** ONNX Runtime as a platform offers it: the package, and how a graph is opened with it. */

import type { InferenceSession, Tensor } from "onnxruntime-common";
import { productsSaturate, EXACT_PRODUCTS } from "./saturation.js";

/** ARM's own kernels round activations of int4 more coarsely; the Python package's providers.py has the figures. */
const NO_KLEIDIAI = { mlas: { disable_kleidiai: "1" } };

/** "cpu" is native code in Node and WebAssembly in browsers. */
export type Provider = "cpu" | "webgpu";

/** What this package uses of onnxruntime-node and onnxruntime-web. */
export interface Ort {
  InferenceSession: typeof InferenceSession;
  Tensor: typeof Tensor;
}

/** An onnxruntime package on this platform. */
export class Runtime {
  /**
   * @param ort the package.
   * @param executionProviders its names of the providers that it has.
   * @param threads how many compute.
   */
  constructor(
    readonly ort: Ort,
    private readonly executionProviders: Partial<Record<Provider, string>>,
    readonly threads: number,
  ) {}

  /** How a bundle's graph is opened. */
  async options(precision: string, provider: Provider): Promise<InferenceSession.SessionOptions> {
    const saturates = precision === "int8" && provider === "cpu" && (await productsSaturate(this.ort));
    const extra = precision === "int4" ? NO_KLEIDIAI : saturates ? EXACT_PRODUCTS : undefined;
    return {
      executionProviders: [this.executionProviders[provider]!],
      intraOpNumThreads: this.threads,
      logSeverityLevel: 3, // errors only
      enableMemPattern: false, // ONNX Runtime would plan the memory of each shape of batch as one block, beside others
      ...(extra && { extra }),
    };
  }
}

/** Refuse a provider that there is none of. */
export function checkProvider(provider: string): asserts provider is Provider {
  if (provider !== "cpu" && provider !== "webgpu") {
    throw new RangeError(`provider must be "cpu" or "webgpu", not ${JSON.stringify(provider)}.`);
  }
}
