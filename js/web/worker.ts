/** Ranks off the page's own thread, so that the page answers while the model loads and computes. */

import { Reranker } from "@aatm-onnx/rerank";
import type { Reply, Request } from "./messages.js";

const reply = (message: Reply): void => postMessage(message);

declare const PACKED: string[]; // put in by build.mjs

const opened = Reranker.open(new URL("model/", location.href), {
  packed: PACKED,
  onProgress: (progress) => reply({ kind: "progress", progress }),
});

opened.then(
  (reranker) => {
    const { threads, manifest } = reranker.description;
    const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.size, 0);
    const model = {
      Name: manifest.source.checkpoint,
      Size: `${(bytes / 1e6).toFixed(1)} MB, ${manifest.graph.precision}`,
      "Runs on": `this device, ${threads === 1 ? "1 thread" : `${threads} threads`}`,
      Task: reranker.task,
    };
    reply({ kind: "ready", model });
  },
  (error: Error) => reply({ kind: "error", message: error.message }),
);

addEventListener("message", async ({ data }: MessageEvent<Request>) => {
  try {
    const reranker = await opened;
    const start = performance.now();
    const ranking = await reranker.rank(data.query, data.documents);
    reply({ kind: "ranking", id: data.id, ranking, milliseconds: performance.now() - start });
  } catch (error) {
    reply({ kind: "error", id: data.id, message: (error as Error).message });
  }
});
