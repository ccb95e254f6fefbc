// Sentences of the planner in the reader's language. The server says {key, values, text}: the words are here, the numbers its.

import { html } from "./vendor/preact.js";
import { bytes, current, date, locale, number, percent, seconds, t } from "./i18n.js";
import { amount, exact } from "./figures.js";

const named = (kind, values) => Object.fromEntries(values.map((value) => [value, kind]));
const KINDS = {
  ...named(percent, ["cached", "written", "residual", "interest", "read", "read_low", "read_high", "ops", "ops_low", "ops_high"]),
  ...named(bytes, ["dense", "cache", "room", "weights", "more", "all"]),
  ...named((value) => exact(value, 2), ["pace", "low", "high", "years"]),
  ...named(exact, ["skew", "decode", "prefill", "hours", "watts"]),
  share: (value) => percent(value, 1),
  seconds,
  date,
  figures: (value) => new Intl.ListFormat(locale(), { type: "conjunction", style: "narrow" }).format(value.map((one) => t("plan.figure_" + one))),
};

function filled(name, value) {
  if (value?.key !== undefined) return words(value) ?? value.text;
  if (value?.amount !== undefined) return amount(value.amount, value.currency);
  if (name === "count" || typeof value === "string" && name !== "date") return value; // a count chooses the form of the words
  return (KINDS[name] ?? number)(value);
}

function words({ key, values }) {
  const name = "plan.said_" + key;
  const found = t(name, Object.fromEntries(Object.entries(values).map(([one, value]) => [one, filled(one, value)])));
  return found === name ? null : found;
}

// What a newer server says that there are no words for is shown as it says it.
export const Said = ({ sentence }) => words(sentence) ?? html`<span lang="en">${sentence.text}</span>`;

// One behind the other.
export const Line = ({ sentences }) => html`
  <p class="small muted">${sentences.map((one, i) => html`${i > 0 && current() !== "zh" && " "}<${Said} sentence=${one} />`)}</p>
`;
