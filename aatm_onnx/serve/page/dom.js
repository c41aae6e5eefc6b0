// Making elements. Texts are always set as text, so that a candidate can't bring markup.

export const find = (selector) => document.querySelector(selector);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Say something where screen readers hear it. */
export function say(place, message, wrong = false) {
  place.textContent = message;
  place.classList.toggle("wrong", wrong);
}

export function choices(select, names, chosen) {
  select.replaceChildren(...names.map((name, index) => element("option", { value: index, textContent: name || `column ${index + 1}` })));
  select.value = String(chosen);
}

export function shown(score) {
  return score > 0 && score < 0.0001 ? "< 0.0001" : score.toFixed(4);
}
