// The page in Chromium, by real clicks and keys: what `make web` built, from a host that sends no headers of its own.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { launch } from "./chromium.mjs";
import { serveFolder } from "./server.mjs";

const BUILT = fileURLToPath(new URL("../../build/web", import.meta.url));
const PICTURES = fileURLToPath(new URL("../../build/web-pictures", import.meta.url));

let browser, server;
before(async () => {
  assert.ok(existsSync(`${BUILT}/index.html`), "run `make web` first");
  mkdirSync(PICTURES, { recursive: true });
  browser = await launch(); // first: where there is no Chromium, an open server would keep the run from ending
  server = await serveFolder(BUILT);
});
after(async () => {
  await browser?.close();
  server?.close();
});

/** A page with its first ranking; whatever goes wrong in it fails the test. */
async function openPage(options = {}, url = server.url) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.noProblems = () => assert.deepEqual(problems, []);
  await page.goto(url);
  await rows(page).first().waitFor();
  return page;
}
const rows = (page) => page.getByRole("list", { name: "Candidates, best first" }).getByRole("listitem");
const firstIs = (page, text) => rows(page).first().filter({ hasText: text }).waitFor();
const csv = (content) => ({ name: "terms.csv", mimeType: "text/csv", buffer: Buffer.from(content) });

test("an example is ranked at once; typing and the keyboard rank again", async () => {
  const page = await openPage();
  await firstIs(page, "Hypoglycemia");
  assert.equal(await rows(page).count(), 50);
  await page.getByLabel("Candidates, one a line").fill("Hypotension\nHypertension\n\nHeadache");
  await page.getByLabel("Term", { exact: true }).fill("");
  await page.getByText("Give a term.").waitFor();
  await page.getByLabel("Term", { exact: true }).pressSequentially("high blood pressure");
  await firstIs(page, "Hypertension");
  assert.equal(await rows(page).count(), 3);
  await page.getByRole("status").filter({ hasText: /^3 candidates ranked in \d+ ms\.$/ }).waitFor();
  // From the term by Tab to candidates, file, button; Enter in the term ranks.
  await page.getByLabel("Term", { exact: true }).focus();
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
  const order = [];
  for (let press = 0; press < 3; press++) {
    await page.keyboard.press("Tab");
    order.push(await focused());
  }
  assert.deepEqual(order, ["candidates", "file", "Rank"]);
  await page.keyboard.press("Enter");
  await firstIs(page, "Hypertension");
  page.noProblems();
  await page.close();
});

test("a CSV that is chosen, one with several queries that is dropped, and the ranking saved", async () => {
  const page = await openPage();
  await page.locator("#file").setInputFiles(csv('candidate,code\r\n"Stroke, acute",I63\r\nMyocardial infarction,I21\r\n'));
  await page.getByLabel("Term", { exact: true }).fill("heart attack");
  await firstIs(page, "Myocardial infarction");
  assert.match(await page.getByLabel("Candidates, one a line").inputValue(), /^Stroke, acute\nMyocardial infarction$/);
  await page.evaluate(() => {
    const data = new DataTransfer();
    const text = "query,candidate\nwebbed toes,Toe syndactyly\nwebbed toes,Flat foot\nwt loss,Weight loss\nwt loss,Visual loss\n";
    data.items.add(new File([text], "queries.csv", { type: "text/csv" }));
    document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  await firstIs(page, "Toe syndactyly");
  await page.getByLabel("Term from the file").selectOption("wt loss");
  await firstIs(page, "Weight loss");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save as CSV" }).click()]);
  const saved = await (await download.createReadStream()).toArray();
  assert.match(Buffer.concat(saved).toString(), /^query,rank,score,candidate\r\nwt loss,1,0\.\d+,Weight loss\r\nwt loss,2,/);
  await page.locator("#file").setInputFiles(csv("\nquery;candidate\nkidney stones;Stroke, acute\nkidney stones;Nephrolithiasis\n"));
  await firstIs(page, "Nephrolithiasis");
  assert.equal(await page.getByLabel("Term", { exact: true }).inputValue(), "kidney stones");
  assert.match(await page.getByLabel("Candidates, one a line").inputValue(), /^Stroke, acute\nNephrolithiasis$/);
  for (const [content, problem] of [
    [`candidate\n"open quote\n${"abc, def\n".repeat(1e6)}`, "quote that does not end"],
    [Buffer.from("candidate\nM\xe9ni\xe8re\n", "latin1"), "terms.csv is not UTF-8"],
    ["query,candidate\n", "terms.csv has no candidates"],
  ]) {
    await page.locator("#file").setInputFiles(csv(content));
    await page.getByRole("alert").filter({ hasText: problem }).waitFor();
  }
  page.noProblems();
  await page.close();
});

test("the page answers while the worker computes, and shows the latest ranking only", async () => {
  const page = await openPage();
  const longest = await page.evaluate(async () => {
    const candidates = document.getElementById("candidates");
    candidates.value = Array.from({ length: 3000 }, (_, index) => `concept ${index} of the kidney`).join("\n");
    candidates.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((resolve) => setTimeout(resolve, 250)); // typing has paused; the worker is at work
    let [last, longest] = [performance.now(), 0];
    const end = last + 500;
    while (performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve));
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }
    candidates.value = "Gallstones\nHypoglycemia";
    candidates.dispatchEvent(new Event("input", { bubbles: true }));
    return longest;
  });
  assert.ok(longest < 250, `the page was busy for ${longest} ms`); // computing there would take seconds
  await firstIs(page, "Hypoglycemia");
  await page.getByText(/^2 candidates ranked/).waitFor();
  assert.equal(await rows(page).count(), 2);
  page.noProblems();
  await page.close();
});

test("while the worker computes, only the latest of what is asked meanwhile waits for it", async () => {
  const page = await openPage();
  const sent = await page.evaluate(async () => {
    const sent = [];
    const { postMessage } = Worker.prototype;
    Worker.prototype.postMessage = function (request) {
      sent.push(request.query);
      postMessage.call(this, request);
    };
    for (const query of ["k", "ki", "kid", "kidney stones"]) {
      document.getElementById("term").value = query;
      document.getElementById("input").requestSubmit();
    }
    while (sent.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    return sent;
  });
  assert.deepEqual(sent, ["k", "kidney stones"]);
  await page.getByText(/^50 candidates ranked/).waitFor();
  await page.close();
});

test("other pages of the same host are left alone", async () => {
  const folder = mkdtempSync(join(tmpdir(), "page-"));
  cpSync(BUILT, folder, { recursive: true });
  mkdirSync(join(folder, "other"));
  writeFileSync(join(folder, "other", "index.html"), "<!doctype html><h1>Another page</h1>");
  const [host, context] = [await serveFolder(folder), await browser.newContext()];
  const page = await context.newPage();
  await page.goto(host.url);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.goto(`${host.url}other`); // redirected, as hosts do
  await page.getByRole("heading", { name: "Another page" }).waitFor();
  assert.equal(await page.evaluate(() => crossOriginIsolated), false);
  await context.close();
  host.close();
  rmSync(folder, { recursive: true });
});

test("without a network after the first visit, and with threads", async () => {
  const context = await browser.newContext();
  const host = await serveFolder(BUILT);
  const page = await context.newPage();
  await page.goto(host.url);
  await rows(page).first().waitFor();
  assert.equal(await page.evaluate(() => crossOriginIsolated), false);
  await page.evaluate(() => navigator.serviceWorker.ready);
  host.close(); // the host is gone
  await page.goto(host.url);
  await firstIs(page, "Hypoglycemia");
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  await page.getByRole("link", { name: "the model's card" }).click();
  await page.getByRole("heading", { name: "The default model" }).waitFor();
  await context.close();
});

test("a model that is altered on the way is refused, in words", async () => {
  const context = await browser.newContext({ serviceWorkers: "block" });
  const page = await context.newPage();
  await page.route("**/model.onnx.data.packed", async (route) => {
    const response = await route.fetch();
    const body = gunzipSync(await response.body());
    body[99] ^= 1;
    const altered = gzipSync(body);
    await route.fulfill({ response, headers: { ...response.headers(), "content-length": `${altered.length}` }, body: altered });
  });
  await page.goto(server.url);
  await page.getByRole("alert").filter({ hasText: "model.onnx.data was altered" }).waitFor();
  assert.equal(await rows(page).count(), 0);
  await context.close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const [name, viewport] of Object.entries({ wide: { width: 1280, height: 900 }, narrow: { width: 360, height: 740 } })) {
    test(`it fits: ${name}, ${colorScheme}`, async () => {
      const page = await openPage({ colorScheme, viewport });
      const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(content <= window, `${content} pixels of content in ${window}`);
      assert.ok((await page.evaluate(lowestContrast)) >= 4.5);
      await page.screenshot({ path: `${PICTURES}/${name}-${colorScheme}.png`, fullPage: name === "narrow" });
      await page.close();
    });
  }
}

/** The lowest contrast of text with the background behind it, as WCAG counts it; a bar is taken where one may be. */
function lowestContrast() {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const luminance = (color) => {
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => (v /= 255) <= 0.04 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const bar = getComputedStyle(document.querySelector("#ranking li")).backgroundImage.match(/rgba?\([^)]*\)/)[0];
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const { backgroundColor, backgroundImage } = getComputedStyle(node);
      if (backgroundImage !== "none") return bar;
      if (!backgroundColor.endsWith(", 0)")) return backgroundColor;
    }
    return "white";
  };
  const texts = [...document.querySelectorAll("h1, h2, p, a, label, dt, dd, code, button, input, textarea, li span")];
  return Math.min(...texts.filter((node) => node.checkVisibility()).map((node) => {
    const [a, b] = [luminance(getComputedStyle(node).color), luminance(behind(node))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  }));
}
