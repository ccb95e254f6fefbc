// Talking to the server: JSON there and back, streams that find their place again, and the key.
//
//   await api.get("books?days=30")            GET  api/books?days=30, parsed; throws Problem
//   await api.send("plan", {model: ...})      POST as JSON (third argument: another method)
//   const stream = listen("runs/7/events", {onFrame, onState})    server-sent events; stream.close() ends it
//
//   await upload("v1/articles?name=x", file, {onProgress, signal})    the file as the body; answers as api.send does
//
// A path is relative to api/, or begins with v1/: what every client has. Problem has .status (0: the server is not there), .message in plain words, and .passing:
// asking again later may help.

import { t } from "./i18n.js";
import { onDevice, inTab } from "./keeping.js";
import { store } from "./store.js";

export class Problem extends Error {
  constructor(status, message, code) {
    super(message);
    this.status = status;
    this.code = code;
    this.wait = 0; // ms; what the server said after which to ask again
  }
  get passing() {
    return !this.status || this.status === 429 || this.status >= 500;
  }
}

const KEY = "moonlet.key";
export const key = {
  get: () => inTab.getItem(KEY) ?? onDevice.getItem(KEY) ?? "",
  // Kept until the tab is closed, or with `stay` on this device.
  set(secret, stay) {
    inTab.removeItem(KEY);
    onDevice.removeItem(KEY);
    if (secret) (stay ? onDevice : inTab).setItem(KEY, secret);
  },
};

// Whose page this is. With another key, also one entered in another tab, it is loaded anew: nothing of one person is
// shown to the next, or stored as theirs.
const whose = key.get();
export const same = () => key.get() === whose;
addEventListener("storage", () => same() || location.reload());

// "here", "away" (the server does not answer), or "closed" (a key is needed, or this one is refused).
export const link = store({ state: "here", why: "" });

export function headers() {
  return key.get() ? { Authorization: `Bearer ${key.get()}` } : {};
}

const place = (path) => (path.startsWith("v1/") ? path : `api/${path}`);

async function problem(answer) {
  let told;
  try {
    told = (await answer.json()).error;
  } catch {
    told = null;
  }
  const found = new Problem(answer.status, told?.message ?? `HTTP ${answer.status}`, told?.code);
  found.wait = Math.min(Number(answer.headers.get("Retry-After")) || 0, 60) * 1000;
  return found;
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    link.set({ state: "away", why: "" });
    watch();
    throw new Problem(0, t("shell.no_answer"));
  }
  if (answer.status === 401) {
    const why = await problem(answer);
    link.set({ state: "closed", why: why.message });
    throw why;
  }
  if (link.get().state === "away") link.set({ state: "here", why: "" });
  if (!answer.ok) throw await problem(answer);
  return answer;
}

export const api = {
  async get(path, signal) {
    return (await ask(place(path), { signal })).json();
  },
  async send(path, body, method = "POST", signal) {
    const answer = await ask(place(path), {
      method,
      signal,
      headers: { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return answer.status === 204 ? null : answer.json();
  },
};

// A file on its way: fetch tells nothing of how far it is, so this asks as it was done before.
export function upload(path, file, { onProgress, signal }) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", place(path));
    for (const [name, value] of Object.entries({ ...headers(), "Content-Type": KINDS.test(file.type) ? file.type : "application/octet-stream" }))
      request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded / (event.total || 1));
    request.onload = async () => {
      const answer = new Response(request.responseText, { status: request.status, headers: { "Retry-After": request.getResponseHeader("Retry-After") ?? "" } });
      if (answer.ok) return done(answer.json());
      const why = await problem(answer);
      if (answer.status === 401) link.set({ state: "closed", why: why.message });
      failed(why);
    };
    request.onerror = () => failed(new Problem(0, t("shell.no_answer")));
    request.onabort = () => failed(new DOMException("", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
const KINDS = /^(?:video|audio)\/[\w.+-]+$/;

// While the server is away: asks again and again, a little less often each time, until it is back.
let watching = false;
async function watch() {
  if (watching) return;
  watching = true;
  for (let wait = 300; link.get().state === "away"; wait = Math.min(wait * 1.5, 4000)) {
    await pause(wait);
    try {
      if ((await fetch("health")).ok && link.get().state === "away") link.set({ state: "here", why: "" });
    } catch {
      // still away
    }
  }
  watching = false;
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Frames of a stream, each once and in order, over as many connections as it takes: a connection that breaks is made
// again from the last frame heard (Last-Event-ID). `onFrame(frame)` gets the parsed JSON of each; `onState(state, why)`
// hears "open", "waiting" (broken or the server is busy: trying again), "over" (the server ended it), "lost" (the server
// does not know it any more, or refuses; why is a Problem).
export function listen(path, { onFrame, onState = () => {} }) {
  const abort = new AbortController();
  let last = "";

  async function connect() {
    const extra = last ? { "Last-Event-ID": last } : {};
    const answer = await ask(place(path), { signal: abort.signal, headers: { Accept: "text/event-stream", ...extra } });
    onState("open");
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return false;
      rest += value;
      let end;
      while ((end = rest.indexOf("\n\n")) >= 0) {
        const lines = rest.slice(0, end).split("\n");
        rest = rest.slice(end + 2);
        const field = (name) => lines.filter((line) => line.startsWith(name)).map((line) => line.slice(name.length));
        const id = field("id: ")[0];
        const data = field("data: ").join("\n");
        if (data === "[DONE]") return true;
        if (id) last = id;
        if (data) onFrame(JSON.parse(data));
      }
    }
  }

  (async () => {
    for (let wait = 250; !abort.signal.aborted; wait = Math.min(wait * 1.6, 4000)) {
      let told = 0;
      try {
        const before = last;
        if (await connect()) return onState("over");
        if (last !== before) wait = 250;
      } catch (error) {
        if (abort.signal.aborted) return;
        if (error instanceof Problem && !error.passing) return onState("lost", error);
        told = error.wait ?? 0;
      }
      onState("waiting");
      await pause(Math.max(wait, told));
    }
  })();
  return { close: () => abort.abort() };
}
