// Conversations: trees of messages, kept in this browser (IndexedDB) or, with a key, on the server.
//
// A talk is {id, title, changed, leaf, nodes: {id: node}}. A node is one turn: {id, parent, role: "user", text, files} or
// {id, parent, role: "assistant", parts, replies, state, run, reason, error}. Editing or asking again adds a sibling; the
// path from the leaf to the root is what is shown and sent.

import { api } from "./api.js";

export const newId = () => crypto.getRandomValues(new Uint32Array(2)).reduce((text, number) => text + number.toString(36), "");

export const newTalk = () => ({ id: newId(), title: "", changed: Date.now(), leaf: null, nodes: {} });

export function path(talk) {
  const found = [];
  for (let id = talk.leaf; id; id = talk.nodes[id].parent) found.push(talk.nodes[id]);
  return found.reverse();
}

export function add(talk, node) {
  talk.nodes[node.id] = node;
  talk.leaf = node.id;
  talk.changed = Date.now();
  return node;
}

// The answer at the end of what is shown, if it is under way.
export function answering(talk) {
  const last = talk.nodes[talk.leaf];
  return last?.state === "running" ? last : undefined;
}

// The versions of each turn, itself among them: by its parent and who speaks.
export const slot = (node) => `${node.parent} ${node.role}`;
export const versions = (talk) => Map.groupBy(Object.values(talk.nodes), slot);

// Shows another branch: this node, and below it what was last added.
export function turnTo(talk, node) {
  const below = new Map(); // the last of each parent
  for (const one of Object.values(talk.nodes)) below.set(one.parent, one);
  let at = node;
  while (below.has(at.id)) at = below.get(at.id);
  talk.leaf = at.id;
}

// ---- what is sent ----

export const said = (node) =>
  node.text + (node.files ?? []).map((file) => `\n\n${file.name}:\n\`\`\`\n${file.text}\n\`\`\``).join("");

// The messages of a path, in OpenAI's form.
export function messages(nodes, system) {
  const found = system ? [{ role: "system", content: system }] : [];
  for (const node of nodes) {
    if (node.role === "user") {
      found.push({ role: "user", content: said(node) });
      continue;
    }
    const last = Math.max(...node.parts.map((part) => part.reply), 0);
    for (let reply = 0; reply <= last; reply++) {
      const parts = node.parts.filter((part) => part.reply === reply);
      const calls = parts.filter((part) => part.kind === "call" && part.result !== undefined);
      const content = parts.filter((part) => part.kind === "text").map((part) => part.text).join("");
      const thinking = parts.filter((part) => part.kind === "thinking").map((part) => part.text).join("");
      if (!content && !calls.length) continue;
      found.push({
        role: "assistant",
        content: content || null,
        ...(thinking && { reasoning_content: thinking }),
        ...(calls.length && {
          tool_calls: calls.map((call) => ({ id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } })),
        }),
      });
      for (const call of calls) found.push({ role: "tool", tool_call_id: call.id, name: call.name, content: call.result });
    }
  }
  return found;
}

// ---- where they are kept ----
//
// Other tabs and devices may have added turns since this copy was read. Nodes have names of their own and are never taken
// away, so what is kept has those of both: here, and in page_kept.py.

let opened;
function database() {
  opened ??= new Promise((done, failed) => {
    const asked = indexedDB.open("moonlet", 2);
    asked.onupgradeneeded = ({ oldVersion }) => {
      const talks = oldVersion ? asked.transaction.objectStore("talks") : asked.result.createObjectStore("talks", { keyPath: "id" });
      talks.createIndex("summary", ["changed", "title"]);
    };
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
  return opened;
}
const inBrowser = async (mode, work) => work((await database()).transaction("talks", mode).objectStore("talks"));
const answered = (asked) =>
  new Promise((done, failed) => {
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });

// From the index alone: conversations may be long, and many.
async function summaries() {
  const index = (await database()).transaction("talks").objectStore("talks").index("summary");
  return new Promise((done, failed) => {
    const found = [];
    const asked = index.openKeyCursor(null, "prev");
    asked.onsuccess = () => {
      const at = asked.result;
      if (!at) return done(found);
      found.push({ id: at.primaryKey, changed: at.key[0], title: at.key[1] });
      at.continue();
    };
    asked.onerror = () => failed(asked.error);
  });
}

const browser = {
  all: summaries,
  find: (id) => inBrowser("readonly", (store) => answered(store.get(id))),
  keep: (talk) =>
    inBrowser("readwrite", async (store) => {
      const before = await answered(store.get(talk.id));
      await answered(store.put({ ...talk, nodes: { ...before?.nodes, ...talk.nodes } }));
    }),
  drop: (id) => inBrowser("readwrite", (store) => answered(store.delete(id))),
};
const server = {
  all: async () => (await api.get("talks")).map((one) => ({ ...one, changed: one.changed * 1000 })),
  find: (id) => api.get(`talks/${id}`).catch((problem) => (problem.status === 404 ? undefined : Promise.reject(problem))),
  keep: (talk) => api.send(`talks/${talk.id}`, { title: talk.title, talk }, "PUT"),
  drop: (id) => api.send(`talks/${id}`, undefined, "DELETE"),
};
export const shelf = (place) => (place === "server" ? server : browser);
