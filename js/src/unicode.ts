/** Where Python's tokenizers know an older Unicode than JavaScript engines do, as ranges for a character class. */

/**
 * Code points that decompose, compose or are marks, but not in the tables of 2016 by which the tokenizers normalize.
 * Between them stand some that neither changes.
 */
export const AFTER_UNICODE_9 = ranges(`
  7fd 897-89f 8ca-8d3 9fe afa-aff b55 c04 c3c cf3-d00 d3b-d3c d81 eba ece 1715 180f 1abf-1aeb 1cf7 1df6-1dfa 32ff
  a7f1-a7f4 a82c a8ff ab69 105c9-105e4 10781-107ba 10d24-10d27 10d69-10d6d 10eab-10eac 10efa-10eff 10f46-10f50
  10f82-10f85 11070-11074 110c2 11145-11146 111c9 111ce-111cf 11241 1133b 11383-113e2 1145e 1182c-1183a
  11930-11943 119d1-11a0a 11a33-11a5b 11a8a-11a99 11b60-11b67 11d31-11d47 11d8a-11d97 11ef3-11f03 11f34-11f5a
  13440-13455 1611e-1612f 16d63-16d6a 16f4f 16f7f-16f87 16fe4-16ff1 1ccd6-1ccf9 1cf00-1cf46 1e030-1e08f
  1e130-1e136 1e2ae 1e2ec-1e2ef 1e4ec-1e4ef 1e5ee-1e5ef 1e6e3-1e6f5 1f16c 1fbf0-1fbf9`);

/** Letters, numbers and marks that came with Unicode 17; the tokenizers' regular expressions know 16. */
export const AFTER_UNICODE_16 = ranges(`
  88f c5c cdc 1acf-1aeb a7ce-a7cf a7d2 a7d4 a7f1 10940-10959 10ec5-10ec7 10efa-10efb 11b60-11b67 11db0-11de9
  16ea0-16ed3 16ff2-16ff6 187f8-187ff 18d09-18d1e 18d80-18df2 1e6c0-1e6ff 2b73a-2b73f 2cea2-2cead 323b0-33479`);

/** The characters of code points in hexadecimal. */
export function codePoints(points: string): string[] {
  return points.trim().split(/\s+/).map((point) => String.fromCodePoint(parseInt(point, 16)));
}

function ranges(points: string): string {
  return points.trim().replace(/[0-9a-f]+/g, "\\u{$&}").replace(/\s+/g, "");
}
