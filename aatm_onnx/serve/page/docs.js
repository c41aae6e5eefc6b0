// The API's page, made from openapi.json on this server: it needs no other.

import { element, find } from "./dom.js";

const api = await (await fetch("openapi.json")).json();
const place = find("#paths");
place.replaceChildren(element("p", { textContent: api.info.description }));

for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, operation] of Object.entries(methods)) place.append(described(path, method.toUpperCase(), operation));
}

function described(path, method, operation) {
  const article = element("article", {},
    element("h2", {}, element("code", { textContent: `${method} ${path}` })),
    element("p", { textContent: operation.summary }));
  const media = Object.entries(operation.requestBody?.content ?? {})[0];
  if (!media) return article;
  for (const [name, example] of Object.entries(media[1].examples ?? {})) {
    const body = typeof example.value === "string" ? example.value : JSON.stringify(example.value);
    const quoted = body.replaceAll("'", "'\\''");
    const command = `curl ${location.origin}${path} -H 'content-type: ${media[0]}' --data-binary '${quoted}'`;
    article.append(element("h3", { textContent: example.summary ?? name }), element("pre", {}, element("code", { textContent: command })));
  }
  const schema = resolved(media[1].schema);
  if (schema.properties) article.append(element("details", {}, element("summary", { textContent: "Fields" }), fields(schema)));
  return article;
}

function fields(schema) {
  const rows = Object.entries(schema.properties).map(([name, field]) => element("tr", {},
    element("td", {}, element("code", { textContent: name })),
    element("td", { className: "text", textContent: resolved(field).description ?? "" })));
  return element("div", { className: "scroll" }, element("table", {}, element("tbody", {}, ...rows)));
}

function resolved(schema) {
  return schema.$ref ? schema.$ref.slice(2).split("/").reduce((at, name) => at[name], api) : schema;
}
