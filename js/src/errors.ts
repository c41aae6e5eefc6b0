/** The errors that this package raises itself; each message says what was wrong, where, and what to do. */

/** A bundle is missing, incomplete, altered, or of a kind that this version can't read. */
export class BundleError extends Error {
  override name = "BundleError";
}

/** The execution provider that was asked for can't be used here. */
export class ProviderError extends Error {
  override name = "ProviderError";
}

/** A pair has more tokens than the model takes, and may not be cut. */
export class TooLongError extends RangeError {
  override name = "TooLongError";
}

/** A model gave a score that is not a finite number. */
export class ScoreError extends Error {
  override name = "ScoreError";
}
