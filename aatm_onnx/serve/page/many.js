// Many queries from a CSV file: streamed to the server's batch, ranked rows to download.

import { ask, lines } from "./api.js";
import { line, parse } from "./csv.js";
import { choices, find, say } from "./dom.js";

const form = find("#many"), status = find("#many-status"), drop = find("#drop"), file = find("#file");
const progress = find("#progress"), stop = find("#stop"), download = find("#download");
let table = null;

file.addEventListener("change", () => read(file.files[0]));
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") read(event.dataTransfer.files[0]);
  });
}

async function read(chosen) {
  if (!chosen) return;
  find("#columns").hidden = download.hidden = true;
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await chosen.arrayBuffer());
  } catch {
    return say(status, `${chosen.name} is not UTF-8; save it as "CSV UTF-8".`, true);
  }
  const { rows, fault } = parse(text);
  const short = rows.findIndex((row) => row.length !== rows[0].length);
  if (fault) return say(status, `${chosen.name}: ${fault}`, true);
  if (rows.length < 2) return say(status, `${chosen.name} needs a header and at least one row.`, true);
  if (rows[0].length < 2) return say(status, `${chosen.name} needs a column for the query and one for the candidate.`, true);
  if (short > 0) return say(status, `${chosen.name}, row ${short + 1}: ${rows[short].length} fields where the header has ${rows[0].length}.`, true);
  table = { name: chosen.name, header: rows[0], rows: rows.slice(1) };
  const like = (pattern, other) => Math.max(other, table.header.findIndex((name) => pattern.test(name)));
  choices(find("#query-column"), table.header, like(/query|source|term/i, 0));
  choices(find("#candidate-column"), table.header, like(/candidate|expression|target|document/i, 1));
  find("#columns").hidden = false;
  say(status, `${chosen.name}: ${table.rows.length} rows.`);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!table) return;
  const groups = grouped(Number(find("#query-column").value));
  const candidate = Number(find("#candidate-column").value);
  const body = groups.map(([query, rows]) => JSON.stringify({ query, candidates: rows.map((row) => row[candidate]) }) + "\n");
  const running = new AbortController();
  const button = form.querySelector("button[type=submit]");
  stop.onclick = () => running.abort();
  [button.disabled, stop.hidden, progress.hidden, download.hidden] = [true, false, false, true];
  progress.max = groups.length;
  progress.value = 0;
  const began = performance.now();
  try {
    const response = await ask("v1/rerank/batch", { method: "POST", body: new Blob(body), signal: running.signal });
    const ranked = [line([...table.header, "rank", "rerank_score"])];
    let done = 0, failed = 0;
    for await (const answer of lines(response)) {
      const rows = groups[done++][1];
      if (answer.error) failed++;
      (answer.results ?? []).forEach((result, rank) => ranked.push(line([...rows[result.index], rank + 1, result.rerank_score])));
      progress.value = done;
      if (done % 20 === 0) say(status, `${done} of ${groups.length} queries.`);
    }
    if (done < groups.length) throw new Error(`The server stopped after ${done} of ${groups.length} queries.`);
    offer(ranked);
    const took = ((performance.now() - began) / 1000).toFixed(1);
    say(status, `${groups.length - failed} queries ranked in ${took} s.` + (failed ? ` ${failed} could not be ranked.` : ""), failed > 0);
    download.focus();
  } catch (error) {
    say(status, running.signal.aborted ? "Stopped." : error.message, !running.signal.aborted);
  } finally {
    [button.disabled, stop.hidden, progress.hidden] = [false, true, true];
  }
});

/** Each query with its rows, in the order of the file. */
function grouped(column) {
  const groups = new Map();
  for (const row of table.rows) {
    if (!groups.has(row[column])) groups.set(row[column], []);
    groups.get(row[column]).push(row);
  }
  return [...groups];
}

function offer(ranked) {
  if (download.href) URL.revokeObjectURL(download.href);
  download.href = URL.createObjectURL(new Blob(["\uFEFF", ...ranked], { type: "text/csv" }));  // Excel needs the mark
  download.download = table.name.replace(/\.\w+$/, "") + "-ranked.csv";
  download.hidden = false;
}
