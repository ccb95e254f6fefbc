// Light, dark, or as the system says.

import { onDevice } from "./keeping.js";
import { store } from "./store.js";

const CHOICES = ["system", "light", "dark"];
const dark = matchMedia("(prefers-color-scheme: dark)");

export const choice = store(onDevice.getItem("moonlet.theme") ?? "system");
// What is shown: "light" or "dark".
export const theme = store("light");

function apply() {
  const wanted = choice.get();
  document.documentElement.dataset.theme = wanted;
  theme.set(wanted === "system" ? (dark.matches ? "dark" : "light") : wanted);
}

export function next() {
  choice.set(CHOICES[(CHOICES.indexOf(choice.get()) + 1) % CHOICES.length]);
  onDevice.setItem("moonlet.theme", choice.get());
  apply();
}

dark.addEventListener("change", apply);
apply();
