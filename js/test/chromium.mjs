// A headless Chromium: $CHROMIUM, or the system's.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const PLACES = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"]; // prettier-ignore

export async function launch(flags = []) {
  const executablePath = PLACES.find((place) => place && existsSync(place));
  if (!executablePath) throw new Error("There is no Chromium: apt-get install chromium, or set CHROMIUM to its path.");
  return chromium.launch({ executablePath, args: [...FLAGS, ...flags] });
}
