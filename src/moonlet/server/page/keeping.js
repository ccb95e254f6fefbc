// What this browser keeps, and what this tab does. Where the browser keeps nothing for pages, it lasts as long as the page.

function open(name) {
  try {
    globalThis[name].getItem(""); // refused here where it is blocked
    return globalThis[name];
  } catch {
    const held = new Map();
    return {
      getItem: (key) => held.get(key) ?? null,
      setItem: (key, value) => void held.set(key, value),
      removeItem: (key) => void held.delete(key),
    };
  }
}

export const onDevice = open("localStorage");
export const inTab = open("sessionStorage");
