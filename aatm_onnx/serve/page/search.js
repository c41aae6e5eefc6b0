// A search box over the vocabulary, where the server has one.

import { ask } from "./api.js";
import { element, find, say } from "./dom.js";

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
    if (mine === last) say(status, error.message, true);
  }
}

function table(results) {
  const columns = ["Score", "Id", "Concept", "Found as", "Vocabulary", "Domain"];
  const head = element("tr", {}, ...columns.map((text) => element("th", { scope: "col", textContent: text })));
  const rows = results.map((result) => {
    const values = [result.score.toFixed(3), result.id, result.name, result.matched_name, result.vocabulary, result.domain];
    return element("tr", {}, ...values.map((text) => element("td", { textContent: text })));
  });
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
}

form.addEventListener("submit", (event) => { event.preventDefault(); search(); });
field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 250); });
form.hidden = !(await fetch("search", { method: "HEAD" }).catch(() => ({}))).ok;
