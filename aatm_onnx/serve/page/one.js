// One query with its candidates.

import { ask } from "./api.js";
import { parse } from "./csv.js";
import { choices, element, find, say, shown } from "./dom.js";

const form = find("#one"), status = find("#status"), place = find("#ranking");
const candidates = find("#candidates"), column = find("#column"), columnRow = find("#column-row");

candidates.addEventListener("input", () => {
  const table = pasted();
  columnRow.hidden = !table;
  if (table) choices(column, table[0], Math.max(0, Math.min(column.value || 0, table[0].length - 1)));
});

form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const documents = texts();
  if (!documents.length) return say(status, "Give at least one candidate.", true);
  const button = form.querySelector("button");
  button.disabled = true;
  say(status, `Ranking ${documents.length} candidates …`);
  try {
    const began = performance.now();
    const body = { query: find("#query").value, documents, instruction: find("#instruction").value || null };
    const response = await ask("v1/rerank", { method: "POST", body: JSON.stringify(body) });
    const answer = await response.json();
    show(answer, documents);
    const took = performance.now() - began;
    const time = took < 1000 ? `${took.toFixed(0)} ms` : `${(took / 1000).toFixed(1)} s`;
    const said = [`${documents.length} candidates ranked in ${time}, ${answer.usage.total_tokens} tokens.`];
    say(status, [...said, ...(answer.meta.warnings ?? [])].join(" "));
    status.focus({ preventScroll: false });
  } catch (error) {
    place.replaceChildren();
    say(status, error.message, true);
  } finally {
    button.disabled = false;
  }
});

/** Rows of a pasted table, or null for plain lines. */
function pasted() {
  return candidates.value.includes("\t") ? parse(candidates.value, "\t").rows : null;
}

function texts() {
  const table = pasted();
  const all = table ? table.map((row) => row[column.value] ?? "") : candidates.value.split("\n");
  return all.map((text) => text.trim()).filter(Boolean);
}

function show(answer, documents) {
  const head = element("tr", {}, ...["Rank", "Score", "Candidate", "Was"].map((text) => element("th", { scope: "col", textContent: text })));
  const best = Math.max(answer.results[0].relevance_score, Number.MIN_VALUE);
  const body = answer.results.map((result, rank) => {
    const bar = element("span", { className: "bar" });
    bar.style.width = `${(100 * result.relevance_score) / best}%`;  // the best one's is whole
    bar.setAttribute("aria-hidden", "true");
    return element("tr", {},
      element("td", { className: "number", textContent: rank + 1 }),
      element("td", { className: "number", textContent: shown(result.relevance_score) }),
      element("td", { className: "text" }, documents[result.index] + (result.truncated ? " (cut)" : ""), bar),
      element("td", { className: "number", textContent: result.index + 1 }));
  });
  place.replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}
