// CSV and pasted tables: RFC 4180, with commas, semicolons or tabs.

/** Rows of fields. `fault` says what is wrong with the text, or is null. */
export function parse(text, separator = guess(text)) {
  const rows = [];
  let row = [], field = "", quoted = false, wasQuoted = false;
  const source = text.replace(/^\uFEFF/, "");
  for (let at = 0; at < source.length; at++) {
    const letter = source[at];
    if (quoted) {
      if (letter !== '"') field += letter;
      else if (source[at + 1] === '"') field += source[++at];
      else quoted = false;
    } else if (letter === '"' && field === "" && !wasQuoted) quoted = wasQuoted = true;
    else if (letter === separator) endField();
    else if (letter === "\n") endRow();
    else if (letter !== "\r" || source[at + 1] !== "\n") field += letter;
  }
  if (field !== "" || row.length || wasQuoted) endRow();
  return { rows, fault: quoted ? "A quote is left open." : null };

  function endField() {
    row.push(field);
    field = "";
    wasQuoted = false;
  }
  function endRow() {
    endField();
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
  }
}

/** The separator that the first line has most of. */
function guess(text) {
  const first = text.slice(0, 10_000).split("\n", 1)[0];
  const count = (letter) => first.split(letter).length;
  return [",", ";", "\t"].reduce((best, letter) => (count(letter) > count(best) ? letter : best));
}

/** One line of CSV. */
export function line(fields) {
  return fields.map((field) => (/[",\r\n]/.test(field) ? `"${String(field).replaceAll('"', '""')}"` : field)).join(",") + "\r\n";
}
