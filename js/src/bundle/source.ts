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

/** The end of the name of a file that lies there packed with gzip: one for which no host has a content encoding. */
const PACKED = ".packed";

/** A bundle below a URL. */
export class UrlSource implements Source {
  readonly place: string;
  private readonly search: string; // a token or a version, which the files' URLs have too

  /** @param packed the names of files that lie there packed. */
  constructor(
    url: URL,
    private readonly packed: readonly string[] = [],
  ) {
    const folder = new URL(url);
    folder.pathname = url.pathname.replace(/\/?$/, "/"); // relative names resolve below it
    folder.search = folder.hash = "";
    this.place = folder.href;
    this.search = url.search;
  }

  async read(name: string, size?: number, onBytes?: OnBytes): Promise<Uint8Array<ArrayBuffer>> {
    const packed = this.packed.includes(name);
    const file = this.place + (packed ? name + PACKED : name);
    let response: Response;
    try {
      response = await fetch(file + this.search);
    } catch (error) {
      throw new BundleError(`${file} can't be fetched (${reasonOf(error as Error)}); is the server up?`);
    }
    if (!response.ok || !response.body) {
      throw new BundleError(`${file} can't be fetched (status ${response.status}); is the bundle there?`);
    }
    const body = packed ? response.body.pipeThrough(new DecompressionStream("gzip")) : response.body;
    try {
      if (size === undefined) return new Uint8Array(await new Response(body).arrayBuffer());
      return await collect(body, file, size, onBytes);
    } catch (error) {
      if (error instanceof BundleError) throw error;
      const said = packed ? "can't be unpacked, or was cut off" : "was cut off";
      throw new BundleError(`${file} ${said} (${reasonOf(error as Error)}); copy the bundle again.`);
    }
  }
}

/** What Node's "fetch failed" and "terminated" come from. */
function reasonOf({ message, cause }: Error): string {
  return (cause instanceof Error && cause.message) || message;
}

async function collect(
  body: ReadableStream<Uint8Array>,
  file: string,
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
      throw wrongSize(file, `more than ${size}`, size);
    }
    bytes.set(value, loaded);
    loaded += value.length;
    onBytes?.(loaded);
  }
  if (loaded !== size) throw wrongSize(file, String(loaded), size);
  return bytes;
}

export function wrongSize(file: string, found: string, size: number): BundleError {
  return new BundleError(`${file} has ${found} bytes where the manifest says ${size}; export or copy the bundle again.`);
}
