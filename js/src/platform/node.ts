/** Node: onnxruntime-node, bundles in a folder or below a URL. */

import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import { type OnBytes, type Source, UrlSource, wrongSize } from "../bundle/source.js";
import { BundleError, ProviderError } from "../errors.js";
import { type Ort, type Provider, Runtime } from "../runtime/providers.js";

/** ONNX Runtime reports to its maker from 1.29 on unless this is set before it is loaded. "0" allows the reports. */
const NO_TELEMETRY = "ORT_DISABLE_TELEMETRY";

/** A container's quota in Linux's second version of cgroups, which Node 20 does not know. */
const CPU_QUOTA = "/sys/fs/cgroup/cpu.max";

export async function loadRuntime(provider: Provider, threads: number): Promise<Runtime> {
  if (provider !== "cpu") throw new ProviderError('In Node only provider "cpu" can be used.');
  switchTelemetryOff();
  try {
    return new Runtime((await import("onnxruntime-node")) as Ort, { cpu: "cpu" }, threads);
  } catch (error) {
    throw new ProviderError(
      `onnxruntime-node can't be loaded (${(error as Error).message}): npm install onnxruntime-node`,
    );
  }
}

function switchTelemetryOff(): void {
  if (process.env[NO_TELEMETRY] !== undefined) return;
  // A worker's environment is a copy, which native code never sees.
  if (!isMainThread) {
    throw new ProviderError(
      `Set ${NO_TELEMETRY}=1 before the worker is started: ONNX Runtime would report to its maker, and a worker can't` +
        " switch that off.",
    );
  }
  process.env[NO_TELEMETRY] = "1";
}

export function openSource(place: string | URL, packed: readonly string[]): Source {
  const url = URL.canParse(place) && !/^[a-z]:/i.test(String(place)) ? new URL(place) : undefined; // "c:" is a drive
  if (url && url.protocol !== "file:") return new UrlSource(url, packed);
  return new FolderSource(url ? fileURLToPath(url) : String(place));
}

/** As many as there are. */
export const DEFAULT_THREADS = Infinity;

/** CPUs that this process may use: fewer than the machine's in a container with a quota. */
export function usableThreads(): number {
  const cpus = availableParallelism();
  try {
    const [quota, period] = readFileSync(CPU_QUOTA, "utf8").split(" ").map(Number); // microseconds of a period
    return Math.max(1, Math.min(cpus, Math.ceil(quota! / period!) || cpus)); // "max" is no quota
  } catch {
    return cpus; // no cgroups here
  }
}

/** A bundle in a folder; ONNX Runtime opens the graph there itself. */
class FolderSource implements Source {
  readonly place: string;

  constructor(folder: string) {
    this.place = join(folder, "/");
  }

  path(name: string): string {
    return join(this.place, name);
  }

  async read(name: string, size?: number, onBytes?: OnBytes): Promise<Uint8Array<ArrayBuffer>> {
    await this.checkSize(name, size);
    const bytes = new Uint8Array(await readFile(this.path(name)));
    onBytes?.(bytes.length);
    return bytes;
  }

  async sha256(name: string, size: number, onBytes?: OnBytes): Promise<string> {
    await this.checkSize(name, size);
    const hash = createHash("sha256");
    let loaded = 0;
    for await (const bytes of createReadStream(this.path(name), { highWaterMark: 1 << 20 })) {
      hash.update(bytes as Buffer);
      onBytes?.((loaded += (bytes as Buffer).length));
    }
    return hash.digest("hex");
  }

  private async checkSize(name: string, size: number | undefined): Promise<void> {
    const found = await stat(this.path(name)).catch(() => undefined);
    if (!found?.isFile()) {
      throw new BundleError(`There is no ${name} in ${this.place}; export or copy the bundle again.`);
    }
    if (size !== undefined && found.size !== size) throw wrongSize(this.path(name), String(found.size), size);
  }
}
