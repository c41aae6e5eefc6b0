/** CSV as people save it: rows of fields in, columns of terms out. */

/**
 * The rows of a CSV text; quotes may hold separators, line ends and doubled quotes. What separates the fields is a comma,
 * a semicolon or a tab: what the first line that has text has most of, as in the Python package.
 */
export function parseCsv(text: string): string[][] {
  const header = /^.*[^,;\s].*$/m.exec(text)?.[0] ?? "";
  const count = (character: string): number => header.split(character).length;
  const separator = [",", ";", "\t"].reduce((most, other) => (count(other) > count(most) ? other : most));
  const rows: string[][] = [];
  let row: string[] = [];
  const field = new RegExp(`(?:"([^"]*(?:""[^"]*)*)"|(?!")([^${separator}\\r\\n]*))(${separator}|\\r\\n|\\n|\\r|$)`, "gy");
  const clean = text.replace(/^\ufeff/, "");
  while (field.lastIndex < clean.length) {
    const at = field.lastIndex;
    const match = field.exec(clean);
    if (!match) throw new SyntaxError(`The CSV has a quote that does not end its field, near “${clean.slice(at, at + 20)}”.`);
    row.push(match[1] === undefined ? match[2]! : match[1].replaceAll('""', '"'));
    if (match[3] !== separator) {
      rows.push(row);
      row = [];
    } else if (field.lastIndex === clean.length) row.push("");
  }
  if (row.length) rows.push(row);
  return rows.filter((fields) => fields.some((value) => value.trim()));
}

const CANDIDATE_NAMES = ["candidate", "candidates", "document", "expression", "concept_name", "name", "term", "text"];
const QUERY_NAMES = ["query", "source_term", "source"];

/** The candidates of a table by their query; all under "" where it has no column of queries. */
export function candidatesOf(rows: readonly string[][]): Map<string, string[]> {
  const header = (rows[0] ?? []).map((name) => name.trim().toLowerCase());
  const found = CANDIDATE_NAMES.map((name) => header.indexOf(name)).find((column) => column >= 0);
  const query = QUERY_NAMES.map((name) => header.indexOf(name)).find((column) => column >= 0);
  const candidate = found ?? 0;
  const groups = new Map<string, string[]>();
  for (const row of found === undefined && query === undefined ? rows : rows.slice(1)) {
    const text = row[candidate]?.trim();
    if (!text) continue;
    const key = query === undefined ? "" : (row[query]?.trim() ?? "");
    const group = groups.get(key);
    if (group) group.push(text);
    else groups.set(key, [text]);
  }
  return groups;
}

/** Rows as CSV. */
export function toCsv(rows: readonly (readonly (string | number)[])[]): string {
  const quoted = (value: string | number): string => {
    const text = String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(quoted).join(",")}\r\n`).join("");
}
