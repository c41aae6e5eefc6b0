/** The page: what is typed, pasted or dropped goes to the worker, and its ranking is shown. */

import type { RankedDocument } from "@aatm-onnx/rerank";
import { candidatesOf, parseCsv, toCsv } from "./csv.js";
import { EXAMPLE } from "./example.js";
import type { Reply, Request } from "./messages.js";

const find = <E extends HTMLElement>(id: string): E => document.getElementById(id) as E;
const term = find<HTMLInputElement>("term");
const candidates = find<HTMLTextAreaElement>("candidates");
const query = find<HTMLSelectElement>("query");
const status = find("status");
const loading = find<HTMLProgressElement>("loading");
const ranking = find<HTMLOListElement>("ranking");
const problem = find("error");
const save = find<HTMLButtonElement>("save");
/** Rank so many milliseconds after the last keystroke. */
const PAUSE = 150;

const worker = new Worker("worker.js", { type: "module" });
let ready = false;
let asked = 0; // the id of the latest request; answers to older ones are not shown
let busy = false; // the worker has a request that it has not answered
let next: Request | undefined; // the latest request meanwhile, in place of those before
let shown: RankedDocument[] = [];
let groups = new Map<string, string[]>(); // of a dropped file: candidates by query
let pause: ReturnType<typeof setTimeout> | undefined;

worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => {
  switch (data.kind) {
    case "progress":
      showProgress(data.progress.loaded, data.progress.total);
      break;
    case "ready":
      ready = true;
      loading.hidden = true;
      showModel(data.model);
      void keepOffline();
      break;
    case "ranking":
      answered();
      if (data.id === asked) showRanking(data.ranking, data.milliseconds);
      break;
    case "error":
      if (data.id === undefined) loading.hidden = true;
      else answered();
      if (data.id === undefined || data.id === asked) showProblem(data.message);
  }
});
worker.addEventListener("error", (event) => showProblem(event.message || "The model's worker can't be started."));

find<HTMLFormElement>("input").addEventListener("submit", (event) => {
  event.preventDefault();
  rank();
});
for (const field of [term, candidates]) {
  field.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(rank, PAUSE);
  });
}
query.addEventListener("change", () => fill(query.value, groups.get(query.value)!));
find<HTMLInputElement>("file").addEventListener("change", ({ target }) => {
  const input = target as HTMLInputElement;
  void takeFile(input.files?.[0]);
  input.value = ""; // the same file may be chosen again
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", () => document.body.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  void takeFile(event.dataTransfer?.files[0]);
});
save.addEventListener("click", () => {
  const rows = shown.map(({ document, score }, index) => [term.value.trim(), index + 1, score, document]);
  const url = URL.createObjectURL(new Blob([toCsv([["query", "rank", "score", "candidate"], ...rows])], { type: "text/csv" }));
  Object.assign(document.createElement("a"), { href: url, download: "ranking.csv" }).click();
  URL.revokeObjectURL(url);
});

fill(EXAMPLE.query, EXAMPLE.candidates);

function fill(text: string, texts: readonly string[]): void {
  if (text) term.value = text;
  candidates.value = texts.join("\n");
  rank();
}

function rank(): void {
  clearTimeout(pause);
  const documents = candidates.value.split("\n").map((line) => line.trim()).filter(Boolean);
  const text = term.value.trim();
  const request: Request = { id: ++asked, query: text, documents };
  if (text && documents.length) {
    if (ready) status.textContent = `Ranking ${documents.length} candidates …`;
    send(request); // waits there until the model is loaded
  } else if (ready) {
    showRanking([], 0);
    status.textContent = text ? "Give some candidates, one a line." : "Give a term.";
  }
}

/** Only one request at a time is the worker's: it could not be told that those waiting there are out of date. */
function send(request: Request): void {
  if (busy) next = request;
  else worker.postMessage(request);
  busy = true;
}

function answered(): void {
  busy = false;
  if (next) send(next);
  next = undefined;
}

async function takeFile(file: File | undefined): Promise<void> {
  if (!file) return;
  let found: Map<string, string[]>;
  try {
    found = candidatesOf(parseCsv(new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer())));
  } catch (error) {
    if (error instanceof SyntaxError) return showProblem(error.message);
    return showProblem(`${file.name} is not UTF-8, or can't be read; save it as UTF-8 CSV.`);
  }
  if (!found.size) return showProblem(`${file.name} has no candidates.`);
  groups = found;
  find("queries").hidden = groups.size < 2;
  query.replaceChildren(...[...groups.keys()].map((name) => new Option(name)));
  const [[name, texts]] = groups as unknown as [[string, string[]]];
  fill(name, texts);
}

function showProgress(loaded: number, total: number): void {
  loading.value = loaded / total;
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  const text = loaded < total ? `${megabytes(loaded)} of ${megabytes(total)} MB` : "starting";
  status.textContent = `Loading the model: ${text} …`;
}

function showModel(model: Record<string, string>): void {
  const rows = Object.entries(model).flatMap(([name, value]) => [element("dt", name), element("dd", value)]);
  find("model").replaceChildren(...rows);
}

function showRanking(documents: RankedDocument[], milliseconds: number): void {
  problem.hidden = true;
  shown = documents;
  save.hidden = !documents.length;
  ranking.replaceChildren(
    ...documents.map(({ document, score }) => {
      const row = element("li", "");
      row.style.setProperty("--share", `${(100 * score).toFixed(1)}%`);
      row.append(element("span", document, "document"), element("span", score < 0.0005 ? "< 0.001" : score.toFixed(3), "score"));
      return row;
    }),
  );
  const count = documents.length === 1 ? "1 candidate" : `${documents.length} candidates`;
  status.textContent = `${count} ranked in ${Math.max(1, Math.round(milliseconds))} ms.`;
  document.body.dataset["milliseconds"] = String(milliseconds);
}

function showProblem(message: string): void {
  problem.textContent = message;
  problem.hidden = false;
  status.textContent = "";
}

function element(tag: string, text: string, name = ""): HTMLElement {
  return Object.assign(document.createElement(tag), { textContent: text, className: name });
}

/** Keep all files for visits without a network. Nothing else on the page needs it. */
async function keepOffline(): Promise<void> {
  if ("serviceWorker" in navigator) await navigator.serviceWorker.register("service-worker.js").catch(() => undefined);
}
