// State that several parts of the page share: a value, a way to change it, and a hook that follows it.

import { useEffect, useReducer } from "./vendor/preact.js";

export function store(value) {
  const listeners = new Set();
  return {
    get: () => value,
    // `change`: the next value, or a function of the present one.
    set(change) {
      const next = typeof change === "function" ? change(value) : change;
      if (next === value) return;
      value = next;
      for (const listener of [...listeners]) listener(value);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    // In a component: the value now; the component is drawn again when it changes.
    use() {
      const [, again] = useReducer((count) => count + 1, 0);
      const drawn = value;
      useEffect(() => {
        listeners.add(again);
        if (drawn !== value) again(); // it changed after it was drawn and before anyone listened
        return () => listeners.delete(again);
      }, []);
      return value;
    },
  };
}
