/** Browsers: onnxruntime-web, bundles below a URL. */

import { type Source, UrlSource } from "../bundle/source.js";
import { ProviderError } from "../errors.js";
import { type Ort, type Provider, Runtime } from "../runtime/providers.js";

/** More threads than this only wait for each other at batches of a few hundred tokens. */
const MOST_THREADS = 4;

export async function loadRuntime(provider: Provider, threads: number): Promise<Runtime> {
  if (provider === "webgpu") {
    if (!(await (navigator as { gpu?: { requestAdapter(): Promise<unknown> } }).gpu?.requestAdapter())) {
      throw new ProviderError('WebGPU can\'t be used: this browser has no adapter; take provider "cpu".');
    }
    return new Runtime((await import("onnxruntime-web/webgpu")) as Ort, { webgpu: "webgpu" });
  }
  const ort = await import("onnxruntime-web/wasm");
  ort.env.wasm.numThreads = threads; // read when the first session is made
  return new Runtime(ort as Ort, { cpu: "wasm" });
}

export function openSource(place: string | URL, packed: readonly string[]): Source {
  return new UrlSource(new URL(place, globalThis.location?.href), packed);
}

/** One where the page is not isolated from others (COOP and COEP headers), which threads of WebAssembly need. */
export function usableThreads(): number {
  return globalThis.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
}
