// Amounts as people read them: the digits that say something, in the reader's language.

import { locale } from "./i18n.js";

const made = new Map();
function format(options) {
  const key = locale() + JSON.stringify(options);
  if (!made.has(key)) made.set(key, new Intl.NumberFormat(locale(), options));
  return made.get(key);
}

// Money of a year, a machine, a plan: no cents from a hundred on. `value` may be a decimal in a text.
export function amount(value, currency = "USD") {
  const number = Number(value);
  const digits = Math.abs(number) >= 100 ? 0 : 2;
  return format({ style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits }).format(number);
}

// The same for an axis: $12K.
export const shortAmount = (value, currency = "USD") =>
  format({ style: "currency", currency, notation: "compact", maximumSignificantDigits: 3, minimumFractionDigits: 0 }).format(value);

// A number with as many digits as it deserves.
export const exact = (value, digits = 3) => format({ maximumSignificantDigits: digits }).format(value);

export const unit = (value, name, digits = 1, display = "short") =>
  format({ style: "unit", unit: name, unitDisplay: display, maximumFractionDigits: digits }).format(value);

// Years of payback, as long as they are short enough to be told apart.
export const years = (value) => unit(value, "year", value < 10 ? 1 : 0, "long");

// Energy: Wh, or kWh from a thousand on. Languages write both alike.
export const energy = (wh) => (wh >= 1000 ? `${exact(wh / 1000)} kWh` : `${exact(wh)} Wh`);
