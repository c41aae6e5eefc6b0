/** Runs of combining marks in their canonical order: engines take n squared steps for n marks that stand in another. */

import { codePoints } from "./unicode.js";

type Form = "NFC" | "NFKD";

/** So many marks on end that their order is worth the work; two of these characters become marks by NFKD. */
const MANY_MARKS = /[\p{M}\uff9e\uff9f]{100,}/gu;
/** One mark of each class, in the order of the classes. */
const CLASSES = codePoints(`
  334 93c 3099 94d 5b0 5b1 5b2 5b3 5b4 5b5 5b6 5b7 5b8 5b9 5bb 5bc 5bd 5bf 5c1 5c2 fb1e 64b 64c 64d 618 619 61a 651
  652 670 711 c55 c56 e38 e48 eb8 ec8 f71 f72 f74 321 1dce 31b 1dfa 316 59a 302e 1d16d 5ae 300 315 35c 35d 345`);
const LAST = "\u0345";

const known = new Map<string, number>();

/** What `text.normalize(form)` gives, in n log n steps. */
export function normalized(text: string, form: Form): string {
  return text.replace(MANY_MARKS, (marks) => inOrder(marks, form)).normalize(form);
}

function inOrder(marks: string, form: Form): string {
  let starters = 0; // marks do not change places with these
  const decomposed = Array.from(marks, (mark) => mark.normalize(form === "NFC" ? "NFD" : form)).join("");
  const keyed = Array.from(decomposed, (mark) => {
    const its = classOf(mark);
    if (!its) starters++;
    return { mark, key: starters * 100 + its };
  });
  keyed.sort((a, b) => a.key - b.key);
  return keyed.map(({ mark }) => mark).join("");
}

/** Which class a mark is of, counted from 1; 0 is one that stays where it is. */
function classOf(mark: string): number {
  let its = known.get(mark);
  if (its === undefined) {
    const moves = mark === LAST || follows(LAST, mark);
    known.set(mark, (its = moves ? 1 + CLASSES.filter((other) => follows(mark, other)).length : 0));
  }
  return its;
}

/** Whether the canonical order of two marks is the other one. */
function follows(mark: string, other: string): boolean {
  return (mark + other).normalize("NFD") !== mark + other;
}
