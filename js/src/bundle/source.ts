/** Where the files of a bundle come from: a URL here, or a folder (platform/node.ts). */

import { BundleError } from "../errors.js";

/** Told as bytes arrive: how many of a file there are now. */
export type OnBytes = (loaded: number) => void;

export interface Source {
  /** What to call the bundle in errors. */
  readonly place: string;
  /** The whole of a file. `size` is what it must have in bytes; undefined takes any. */
  read(name: string, size?: number, onBytes?: OnBytes): Promise<Uint8Array<ArrayBuffer>>;
  /** Where ONNX Runtime can open a file itself, if it can. */
  path?(name: string): string;
  /** Hex sha256 of a file that need not be in memory, where there is such a thing. */
  sha256?(name: string, size: number, onBytes?: OnBytes): Promise<string>;
}

/** A bundle below a URL. */
export class UrlSource implements Source {
  readonly place: string;

  constructor(url: URL) {
    this.place = url.href.replace(/\/?$/, "/"); // relative names resolve below it
  }

  async read(name: string, size?: number, onBytes?: OnBytes): Promise<Uint8Array<ArrayBuffer>> {
    const url = new URL(name, this.place);
    let response: Response;
    try {
      response = await fetch(url);
    } catch (error) {
      throw new BundleError(`${url} can't be fetched (${(error as Error).message}); is the server up?`);
    }
    if (!response.ok || !response.body) {
      throw new BundleError(`${url} can't be fetched (status ${response.status}); is the bundle there?`);
    }
    return size === undefined ? new Uint8Array(await response.arrayBuffer()) : collect(response.body, url, size, onBytes);
  }
}

async function collect(
  body: ReadableStream<Uint8Array>,
  url: URL,
  size: number,
  onBytes?: OnBytes,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(size);
  const reader = body.getReader();
  let loaded = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (loaded + value.length > size) {
      await reader.cancel();
      throw wrongSize(String(url), `more than ${size}`, size);
    }
    bytes.set(value, loaded);
    loaded += value.length;
    onBytes?.(loaded);
  }
  if (loaded !== size) throw wrongSize(String(url), String(loaded), size);
  return bytes;
}

export function wrongSize(file: string, found: string, size: number): BundleError {
  return new BundleError(`${file} has ${found} bytes where the manifest says ${size}; export or copy the bundle again.`);
}
