// Words, numbers and dates in the reader's language.
//
// t("talk.send") looks in i18n/<language>/talk.json under "send"; {name} in a message is filled from the second argument.
// A message may be an object of plural forms ({"one": ..., "other": ...}) chosen by values.count.

import { onDevice } from "./keeping.js";

export const LANGUAGES = { en: "English", th: "ไทย", zh: "中文" };
const LOCALES = { en: "en", th: "th", zh: "zh-Hans" }; // of the words

let language = "en";
let messages = {};

export const current = () => language;
// Of numbers and dates: the reader's own kind of the language, as 28/11/2026 or 11/28/2026.
export const locale = () => navigator.languages.find((name) => name.split("-")[0] === language) ?? LOCALES[language];

export function preferred() {
  const kept = onDevice.getItem("moonlet.language");
  const asked = [kept, ...navigator.languages].filter(Boolean).map((name) => name.slice(0, 2).toLowerCase());
  return asked.find((name) => name in LANGUAGES) ?? "en";
}

export async function load(wanted) {
  const answer = await fetch(`page/i18n/${wanted}.json`); // all of i18n/<language>/ in one
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  messages = await answer.json();
  language = wanted;
  document.documentElement.lang = LOCALES[wanted];
}

export function t(key, values = {}) {
  const dot = key.indexOf(".");
  let found = messages[key.slice(0, dot)]?.[key.slice(dot + 1)];
  if (found === undefined) return key;
  if (typeof found === "object") {
    found = found[new Intl.PluralRules(locale()).select(values.count ?? 0)] ?? found.other;
  }
  return found.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? number(value) : String(value);
  });
}

const made = new Map();
function format(kind, options, place = locale()) {
  const key = place + kind.name + JSON.stringify(options);
  if (!made.has(key)) made.set(key, new kind(place, options));
  return made.get(key);
}

export const number = (value, digits = 0) =>
  format(Intl.NumberFormat, { maximumFractionDigits: digits }).format(value);
export const percent = (value, digits = 0) =>
  format(Intl.NumberFormat, { style: "percent", maximumFractionDigits: digits }).format(value);
// 15M: some kinds of English write 15m, which is another thing where there are units.
export const compact = (value, digits = 1) =>
  format(Intl.NumberFormat, { notation: "compact", maximumFractionDigits: digits }, language === "en" ? "en" : locale()).format(value);
// Small sums keep the digits that say something: $0.0004, not $0.00.
export function money(value, currency = "USD") {
  const digits = value && Math.abs(value) < 1 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 2 };
  return format(Intl.NumberFormat, { style: "currency", currency, ...digits }).format(value);
}
export const date = (when, options = { dateStyle: "medium" }) =>
  format(Intl.DateTimeFormat, options).format(new Date(when));
export const time = (when) => date(when, { hour: "2-digit", minute: "2-digit" });

const STEPS = [
  ["gigabyte", 1e9],
  ["megabyte", 1e6],
  ["kilobyte", 1e3],
  ["byte", 1],
];
export function bytes(value) {
  if (!value) return format(Intl.NumberFormat, { style: "unit", unit: "kilobyte" }).format(0);
  const [unit, size] = STEPS.find(([, least]) => value >= least) ?? STEPS.at(-1);
  const digits = value / size < 10 && size > 1 ? 1 : 0;
  return format(Intl.NumberFormat, { style: "unit", unit, maximumFractionDigits: digits }).format(value / size);
}
export function seconds(value) {
  const short = value < 1e-3 && language !== "th"; // Thai has no word for it that is read
  const [unit, scaled] = value >= 1 ? ["second", value] : short ? ["microsecond", value * 1e6] : ["millisecond", value * 1e3];
  const digits = scaled < 0.1 ? 3 : scaled < 1 ? 2 : scaled < 10 ? 1 : 0;
  return format(Intl.NumberFormat, { style: "unit", unit, maximumFractionDigits: digits }).format(scaled);
}
