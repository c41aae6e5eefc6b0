// A search box over the vocabulary, where the server has one.

import { ask } from "./api.js";
import { element, find, say, shown } from "./dom.js";

const form = find("#search"), field = find("#term"), place = find("#concepts"), status = find("#search-status");
let last = 0, timer;

async function search() {
  const mine = ++last;
  try {
    const answer = await (await ask(`search?limit=20&q=${encodeURIComponent(field.value)}`)).json();
    if (mine !== last) return;
    say(status, field.value ? `${answer.results.length} of ${answer.concepts} concepts.` : `${answer.concepts} concepts.`);
    place.replaceChildren(...(answer.results.length ? [table(answer.results)] : []));
  } catch (error) {
    if (mine !== last) return;
    place.replaceChildren();
    say(status, error.message, true);
  }
}

function table(results) {
  const columns = ["Concept", "Score", "Id", "Found as", "Vocabulary", "Domain"];
  const head = element("tr", {}, ...columns.map((text) => element("th", { scope: "col", textContent: text })));
  const rows = results.map((result) => {
    const values = [result.name, shown(result.score), result.id, result.matched_name, result.vocabulary, result.domain];
    return element("tr", {}, ...values.map((text, column) => element("td", { className: column === 1 ? "number" : "", textContent: text })));
  });
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
}

if (form) {  // the server has a vocabulary
  form.addEventListener("submit", (event) => { event.preventDefault(); search(); });
  field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 250); });
}
