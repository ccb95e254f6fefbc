// JSON as it was written. What somebody is asked to approve has to be what runs: where parsing would change a number
// (12345678901234567 would become ...568, 1e400 nothing at all), there is no value, and the text itself is to be shown.

const STRINGS = /"(?:[^"\\]|\\.)*"/g;
const NUMBERS = /-?\d[\d.eE+-]*/g;

const DEEP = 50; // brackets within brackets: written again with indents, thousands of them would be gigabytes

function deep(bare) {
  let open = 0;
  for (const mark of bare)
    if ("[{".includes(mark) && ++open > DEEP) return true;
    else if ("]}".includes(mark)) open--;
  return false;
}

// The value of `text`, or undefined: not JSON, nested too deep to be drawn, or a number in it is not written as JavaScript
// would write it again.
export function exact(text) {
  const bare = text.replace(STRINGS, "");
  const numbers = bare.match(NUMBERS) ?? [];
  if (deep(bare) || numbers.some((one) => /[\d.]{16}|e/i.test(one) || String(Number(one)) !== one)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
