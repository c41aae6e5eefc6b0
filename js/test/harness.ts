/** The package in a page of its own, for test/browser.test.mjs. */

import { Reranker } from "@aatm-onnx/rerank";

Object.assign(globalThis, { Reranker });
