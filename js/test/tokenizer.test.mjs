// The same token ids as Python's tokenizers, for texts in many scripts.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { TokenizerReader } from "../dist/tokenizer.js";
import { DEFAULT_MODEL, generated, vectors } from "./setup.mjs";

const files = {
  default: readFileSync(`${DEFAULT_MODEL}/tokenizer.json`),
  qwen3: readFileSync(generated("qwen3-tokenizer.json")),
};

for (const [name, file] of Object.entries(files)) {
  test(`${name}: token ids of ${vectors.texts.length} texts`, () => {
    const reader = new TokenizerReader(file, name);
    for (const control of [false, true]) {
      const tokenizer = reader.tokenizer(control);
      const expected = vectors.ids[control ? `${name} with control tokens` : name];
      vectors.texts.forEach((text, index) => assert.deepEqual(tokenizer.encode(text), expected[index], text));
    }
  });
}

test("a word of a million letters is no different", () => {
  const tokenizer = new TokenizerReader(files.default, "default").tokenizer(false);
  const some = tokenizer.encode("ab".repeat(50));
  const many = tokenizer.encode("ab".repeat(500_000));
  assert.deepEqual(many.slice(0, some.length - 5), some.slice(0, -5));
});

test("marks in no order take no square of the time of ones in order", { timeout: 60_000 }, () => {
  for (const file of Object.values(files)) {
    const tokenizer = new TokenizerReader(file, "tokenizer.json").tokenizer(false);
    const ids = tokenizer.encode(`e${"\u0301\u0323".repeat(250_000)}`); // minutes, where it was the square
    assert.deepEqual(ids, tokenizer.encode(`e${"\u0323".repeat(250_000)}${"\u0301".repeat(250_000)}`));
  }
});

test("a tokenizer of another kind is refused", () => {
  const altered = (change) => {
    const content = JSON.parse(files.default);
    change(content);
    return new TextEncoder().encode(JSON.stringify(content));
  };
  const replace = (pattern) => (content) => content.normalizer.normalizers.push({ type: "Replace", pattern, content: "" });
  const refused = {
    "BPE": altered((content) => (content.model.type = "Unigram")),
    "normalizer is Nmt": altered((content) => content.normalizer.normalizers.push({ type: "Nmt" })),
    "has no pattern": altered(replace({ String: "" })),
    "empty text": altered(replace({ Regex: "s*" })),
    "pattern has": altered(replace({ Regex: "(?>s)" })),
    "Invalid regular expression": altered(replace({ Regex: "s++" })),
    "Split, then ByteLevel": altered((content) => content.pre_tokenizer.pretokenizers.pop()),
    "post-processor": altered((content) => (content.post_processor = { type: "TemplateProcessing" })),
    "merges need": altered((content) => content.model.merges.push(["never", "seen"])),
    "pattern": altered((content) => (content.pre_tokenizer.pretokenizers[0].pattern.Regex = "\\w+")),
    "JSON": new TextEncoder().encode("{"),
  };
  for (const [reason, file] of Object.entries(refused)) {
    assert.throws(() => new TokenizerReader(file, "tokenizer.json"), { name: "BundleError", message: new RegExp(reason) });
  }
});
