import { ask } from "./api.js";
import { find, say } from "./dom.js";
import "./one.js";
import "./many.js";
import "./search.js";

async function showModel() {
  try {
    const { data } = await (await ask("v1/models")).json();
    say(find("#model"), data.map((model) => model.id).join(", "));
  } catch (error) {
    say(find("#model"), error.message, true);
    setTimeout(showModel, 3000);
  }
}

showModel();
