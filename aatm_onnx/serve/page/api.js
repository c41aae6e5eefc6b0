// Asking the server. An API key stays in this tab.

const KEY = "aatm-onnx-key";
const field = document.querySelector("#key");

if (field) {
  field.value = sessionStorage.getItem(KEY) ?? "";
  field.addEventListener("change", () => sessionStorage.setItem(KEY, field.value));
}

/** A response that is not an error. */
export async function ask(path, options = {}) {
  const headers = { "content-type": "application/json" };
  if (field?.value) headers.authorization = `Bearer ${field.value}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server can't be reached.");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  if (response.status === 401) document.querySelector("details")?.setAttribute("open", "");
  throw new Error(said.message ?? `The server answered ${response.status}.`);
}

/** Each line of a streamed answer, parsed. */
export async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const whole = (rest + (value ?? "")).split("\n");
    rest = done ? "" : whole.pop();
    for (const line of whole) if (line) yield JSON.parse(line);
    if (done) return;
  }
}
