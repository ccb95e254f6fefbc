// Runs of the agent on the server, as they change a turn of a conversation.

import { api, listen } from "./api.js";
import { lookOf } from "./look.js";
import { store } from "./store.js";

// Counts up, at most once a frame, whenever something shown has changed.
export const turn = store(0);

let drawn = 0;
export function changed() {
  if (!drawn) drawn = requestAnimationFrame(() => ((drawn = 0), turn.set((count) => count + 1)));
}

const working = new Map(); // answers under way, by node: the talk that each changes, from before the server was asked
// The conversation of that id as it is being changed just now; a copy from the shelf would not be.
export const underWay = (id) => [...working.values()].find((talk) => talk.id === id);
const unwanted = new WeakSet(); // nodes that were stopped before the server had said which run is theirs

// Begins the answer of `node`. `keep(node)` is called when it has begun, and when it has ended, however that was.
export async function begin(request, talk, node, anatomy, keep) {
  node.state = "running";
  working.set(node.id, talk);
  changed();
  try {
    node.run = (await api.send("runs", request)).id;
  } catch (problem) {
    working.delete(node.id);
    fail(node, problem);
    changed();
    return keep(node);
  }
  if (unwanted.has(node)) stop(node);
  keep(node);
  hear(node, anatomy, keep);
}

// Listens to the run of a node from its beginning: also after the page was loaded anew.
export function follow(talk, node, anatomy, keep) {
  if (working.has(node.id)) return;
  working.set(node.id, talk);
  hear(node, anatomy, keep);
}

function hear(node, anatomy, keep) {
  Object.assign(node, { parts: [], replies: [], error: undefined, reason: undefined, state: "running", link: "open" });
  const end = () => {
    working.delete(node.id);
    for (const part of node.parts) if (part.kind === "call" && part.result === undefined) part.state = "left"; // nobody is asked any more
    changed();
    keep(node);
  };
  const look = anatomy && lookOf(node.run, anatomy);
  listen(`runs/${node.run}/events`, {
    onFrame(frame) {
      take(node, frame, look);
      changed();
    },
    onState(state, problem) {
      if (state === "over") {
        if (node.state === "running") node.state = node.error ? "failed" : "done";
        end();
      } else if (state === "lost") {
        fail(node, problem);
        end();
      } else {
        node.link = state;
        changed();
      }
    },
  });
}

export function stop(node) {
  if (node.run) api.send(`runs/${node.run}/stop`, {}).catch(() => {});
  else unwanted.add(node);
}

export const answer = (run, number, said) => api.send(`runs/${run}/answer`, { number, answer: said });

function fail(node, problem) {
  node.state = "failed";
  node.error = { message: problem.message, status: problem.status };
}

function take(node, frame, look) {
  const reply = node.replies.length;
  const last = node.parts.at(-1);
  const call = () => node.parts.find((part) => part.kind === "call" && part.index === frame.index && part.reply === of(node, frame));
  switch (frame.type) {
    case "text":
    case "thinking":
      if (last?.kind === frame.type && last.reply === reply) last.text += frame.text;
      else node.parts.push({ kind: frame.type, reply, text: frame.text, since: performance.now() });
      break;
    case "call":
      node.parts.push({ kind: "call", reply, index: frame.index, id: frame.id, name: frame.name, arguments: "", state: "writing" });
      break;
    case "arguments":
      call().arguments += frame.text;
      break;
    case "called":
      Object.assign(call(), { id: frame.id, arguments: frame.arguments, state: "waiting" });
      break;
    case "question": {
      const asked = node.parts.find((part) => part.kind === "call" && part.id === frame.id && part.result === undefined);
      if (asked) Object.assign(asked, { state: "asking", question: frame });
      break;
    }
    case "ruling":
      Object.assign(call() ?? {}, { state: frame.allowed ? "waiting" : "denied", by: frame.by, question: undefined });
      break;
    case "started":
      call().state = "running";
      break;
    case "progress":
      Object.assign(node.parts.findLast((part) => part.kind === "call" && part.id === frame.id) ?? {}, { progress: frame.text });
      break;
    case "result": {
      const own = call();
      if (own) Object.assign(own, { result: frame.text, seconds: frame.seconds, question: undefined, state: own.state === "denied" ? "denied" : frame.failed ? "failed" : "done" });
      break;
    }
    case "notice":
      node.parts.push({ kind: "notice", reply, text: frame.text });
      break;
    case "look":
      look?.add(frame);
      break;
    case "reply":
      node.replies.push({ ...frame.usage, finish: frame.finish });
      break;
    case "ended":
      node.reason = frame.reason;
      node.spent = frame.spent ?? node.spent;
      break;
    case "error":
      node.error = { message: frame.message, status: frame.status };
      node.state = "failed";
      break;
  }
}

// A call is told of while its reply is written and executed after that reply has ended.
function of(node, frame) {
  return frame.type === "arguments" || frame.type === "called" ? node.replies.length : node.replies.length - 1;
}
