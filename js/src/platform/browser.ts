/** Browsers: onnxruntime-web, bundles below a URL. */

import { type Source, UrlSource } from "../bundle/source.js";
import { BundleError, ProviderError } from "../errors.js";
import { type Ort, type Provider, Runtime } from "../runtime/providers.js";

/** More only wait for each other at batches of a few hundred tokens. */
export const DEFAULT_THREADS = 4;

let started: number | undefined; // WebAssembly's threads, which start with the page's first session

export async function loadRuntime(provider: Provider, threads: number): Promise<Runtime> {
  if (provider === "webgpu") {
    if (!(await (navigator as { gpu?: { requestAdapter(): Promise<unknown> } }).gpu?.requestAdapter())) {
      throw new ProviderError('WebGPU can\'t be used: this browser has no adapter; take provider "cpu".');
    }
    return new Runtime((await import("onnxruntime-web/webgpu")) as Ort, { webgpu: "webgpu" }, threads);
  }
  const ort = await import("onnxruntime-web/wasm");
  ort.env.wasm.numThreads = started ??= globalThis.crossOriginIsolated ? threads : 1;
  return new Runtime(ort as Ort, { cpu: "wasm" }, started);
}

export function openSource(place: string | URL, packed: readonly string[]): Source {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href; // what `fetch` resolves with
  let url: URL;
  try {
    url = new URL(place, base);
  } catch {
    throw new BundleError(`${place} is no URL, and none relative to ${base}; give the whole URL of the bundle.`);
  }
  return new UrlSource(url, packed);
}

/** One where the page is not isolated from others (COOP and COEP headers), which threads of WebAssembly need. */
export function usableThreads(): number {
  return globalThis.crossOriginIsolated ? navigator.hardwareConcurrency || 1 : 1;
}
