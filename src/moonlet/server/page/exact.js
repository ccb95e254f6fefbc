// JSON as it was written. What somebody is asked to approve has to be what runs: where parsing would change a number
// (12345678901234567 would become ...568, 1e400 nothing at all), there is no value, and the text itself is to be shown.

const STRINGS = /"(?:[^"\\]|\\.)*"/g;
const NUMBERS = /-?\d[\d.eE+-]*/g;

// The value of `text`, or undefined: not JSON, or a number in it is not written as JavaScript would write it again.
export function exact(text) {
  const numbers = text.replace(STRINGS, "").match(NUMBERS) ?? [];
  if (numbers.some((one) => /[\d.]{16}|e/i.test(one) || String(Number(one)) !== one)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
