/**
 * Keeps the page for visits without a network, and gives it the headers by which browsers allow WebAssembly threads.
 * Static hosts can't always send these, so a first visit may compute with one thread, and later ones with more.
 */

export {}; // a module of its own, for its types

declare const FILES: string[]; // both are put in by build.mjs
declare const VERSION: string;

const worker = self as unknown as ServiceWorkerGlobalScope;
const NAME = `rerank-${VERSION}`;
const KEPT = new Set(FILES.map((file) => new URL(file, location.href).pathname));

worker.addEventListener("install", (event) => {
  // "no-cache" asks the host whether a copy is still right: files of two versions would not fit each other.
  const requests = FILES.map((file) => new Request(file, { cache: "no-cache" }));
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(requests)));
  void worker.skipWaiting();
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(removeOthers());
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin || !KEPT.has(pathname)) return; // another page's
  event.respondWith(answer(request));
});

async function removeOthers(): Promise<void> {
  const names = (await caches.keys()).filter((name) => name.startsWith("rerank-") && name !== NAME);
  await Promise.all(names.map((name) => caches.delete(name)));
}

async function answer(request: Request): Promise<Response> {
  const kept = await caches.match(request, { cacheName: NAME, ignoreSearch: true });
  const response = kept ?? (await fetch(request));
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  const { status, statusText, body } = response;
  return new Response(body, { status, statusText, headers });
}
