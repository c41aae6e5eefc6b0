/** What the page and its worker say to each other. */

import type { Progress, RankedDocument } from "@aatm-onnx/rerank";

export interface Request {
  id: number;
  query: string;
  documents: string[];
}

export type Reply =
  | { kind: "progress"; progress: Progress }
  | { kind: "ready"; model: Record<string, string> }
  | { kind: "ranking"; id: number; ranking: RankedDocument[]; milliseconds: number }
  /** `id` is that of the request that failed; without one, the model can't be opened. */
  | { kind: "error"; id?: number; message: string };
