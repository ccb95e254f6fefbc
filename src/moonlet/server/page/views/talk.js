// Talk: one conversation, its composer, and the list of the others.

import { api, Button, date, Dialog, Empty, Field, html, Icon, link, Notice, router, same, store, t, useEffect, useMemo, useRef, useState } from "../ui.js";
import { begin, changed, follow, stop, turn, underWay } from "../runs.js";
import { add, answering, messages, newId, newTalk, path, shelf, slot, turnTo, versions } from "../talks.js";
import { current as language } from "../i18n.js";
import { bare } from "../bare.js";
import { Band } from "./band.js";
import { Turn } from "./turn.js";
import { Settings, settings } from "./settings.js";

const SHOWN = 40; // turns that are drawn at first
const MORE = 10; // earlier ones at a time, as one scrolls up to them: few, so that it stays smooth
const FILE_BYTES = 256 * 1024;

export const talk = store(newTalk());
const list = store(null);
const trouble = store(""); // why a conversation could not be kept or read

const place = () => settings.get().place;

async function refresh() {
  trouble.set("");
  try {
    list.set(await shelf(place()).all());
  } catch (problem) {
    list.set([]);
    trouble.set(t("talk.not_read", { why: problem.message }));
  }
}

// By conversation: what one of them still has to have stored is not forgotten for another.
const timers = new Map();
const dropped = new Set(); // ids of what was deleted: an answer that ends must not bring it back
export function keep(one, soon = 150) {
  clearTimeout(timers.get(one.id));
  if (dropped.has(one.id)) return;
  const timer = setTimeout(async () => {
    timers.delete(one.id);
    if (!Object.keys(one.nodes).length || !same()) return;
    const at = shelf(place());
    try {
      await at.keep(one);
      if (dropped.has(one.id)) return await at.drop(one.id); // it was deleted on its way there
      const { id, title, changed } = one;
      list.set((before) => [{ id, title, changed }, ...(before ?? []).filter((other) => other.id !== id)]);
      trouble.set("");
    } catch (problem) {
      trouble.set(t("talk.not_kept", { why: problem.message }));
    }
  }, soon);
  timers.set(one.id, timer);
}

// Ends what is under way in a conversation that is deleted, here or in another tab of this browser.
function forget(id) {
  dropped.add(id);
  clearTimeout(timers.get(id));
  for (const node of Object.values(underWay(id)?.nodes ?? {})) if (node.state === "running") stop(node);
  if (id === talk.get().id) talk.set(newTalk());
  list.set((before) => before?.filter((one) => one.id !== id) ?? null);
}
const otherTabs = new BroadcastChannel("moonlet.dropped");
otherTabs.onmessage = ({ data: id }) => forget(id);

let opening;
async function open(id, anatomy) {
  opening = id;
  const here = underWay(id);
  let found = here;
  try {
    found ??= await shelf(place()).find(id);
  } catch (problem) {
    trouble.set(t("talk.not_read", { why: problem.message }));
  }
  if (!found || opening !== id || dropped.has(id)) return; // another was asked for meanwhile, or this one deleted
  opening = undefined; // and not twice: a second copy would not be the one that a run changes
  turnTo(found, found.nodes[found.leaf]); // another tab may have gone on below it
  talk.set(found);
  if (here) return;
  // A run that was under way when the page was left is heard again from its beginning.
  for (const node of Object.values(found.nodes)) {
    if (node.state !== "running") continue;
    if (node.run) follow(found, node, anatomy, () => keep(found));
    else Object.assign(node, { state: "failed", error: { message: t("talk.not_begun") } });
  }
}

function request(one, nodes) {
  const { thinking, temperature, top_p, max_tokens, seed, system, tools, approve, look } = settings.get();
  const given = { temperature, top_p, max_tokens, seed };
  return {
    conversation: one.id,
    messages: messages(nodes),
    tools,
    system: system || undefined,
    approve,
    thinking,
    look,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null && value !== "")),
  };
}

function answerIt(one, anatomy) {
  const nodes = path(one);
  const node = add(one, { id: newId(), parent: one.leaf, role: "assistant", parts: [], replies: [], state: "running", at: Date.now() });
  keep(one);
  changed();
  return begin(request(one, nodes), one, node, anatomy, () => keep(one));
}

// Says something in the open conversation. `parent`: the turn it follows; left out, the last one.
export function say(text, files, anatomy, parent) {
  const one = talk.get();
  add(one, { id: newId(), parent: parent === undefined ? one.leaf : parent, role: "user", text, files, at: Date.now() });
  if ((router.get()[0] ?? "talk") === "talk") router.replace("talk", one.id); // loaded anew, the page finds it again
  if (!one.title) one.title = text.trim().replace(/\s+/g, " ").slice(0, 80) || files?.[0]?.name || "";
  return answerIt(one, anatomy);
}

export function View({ about, path: words }) {
  const one = talk.use();
  turn.use();
  settings.use();
  const [panel, show] = useState(null);
  const away = link.use().state !== "here";
  const why = trouble.use();
  const nodes = path(one);
  const anatomy = about.anatomy;

  useEffect(() => {
    if (!words[0] && nodes.length) router.replace("talk", one.id);
    if (words[0] && words[0] !== one.id) open(words[0], anatomy);
  }, [words[0]]);
  useEffect(() => {
    refresh();
  }, []);

  const start = () => {
    talk.set(newTalk());
    router.go("talk");
    setTimeout(() => document.getElementById("said")?.focus());
  };
  const act = {
    again(node) {
      one.leaf = node.parent;
      answerIt(one, anatomy);
    },
    edit: (node, text) => say(text, node.files, anatomy, node.parent),
    turn(node) {
      turnTo(one, node);
      keep(one);
      changed();
    },
    changed() {
      keep(one);
      changed();
    },
    request: (node) => request(one, path({ ...one, leaf: node.parent })),
  };

  return html`
    <div class=${"talk" + (nodes.length ? "" : " new")} data-view="talk">
      <header class="talk-head">
        <h1 tabindex="-1" class=${nodes.length ? "talk-title" : "sr"}>${one.title || t("shell.talk")}</h1>
        <div class="row">
          <${Button} kind="quiet" icon="list" onClick=${() => (refresh(), show("list"))}>${t("talk.list")}<//>
          ${nodes.length > 0 && html`<${Button} kind="quiet" icon="plus" onClick=${start}>${t("talk.new")}<//>`}
        </div>
      </header>
      ${why && html`<${Notice} tone="warn" live>${why}<//>`}
      ${nodes.length ? html`<${Turns} key=${one.id} talk=${one} nodes=${nodes} act=${act} about=${about} />` : html`<${Welcome} about=${about} />`}
      <div class="composer-place">
        ${anatomy && settings.get().look && nodes.length > 0 && html`<${Band} anatomy=${anatomy} />`}
        <${Composer} about=${about} disabled=${away} onTune=${() => show("settings")} onSay=${(text, files) => say(text, files, anatomy)} />
      </div>
      ${panel === "list" && html`<${Dialog} side title=${t("talk.list")} onClose=${() => show(null)}><${List} about=${about} onOpen=${(id) => (show(null), words[0] === id ? id !== one.id && open(id, anatomy) : router.go("talk", id))} onNew=${() => (show(null), start())} /><//>`}
      ${panel === "settings" && html`<${Dialog} side title=${t("talk.settings")} onClose=${() => show(null)}><${Settings} about=${about} onPlace=${refresh} /><//>`}
    </div>
  `;
}

// ---- turns ----

function Turns({ talk: one, nodes, act, about }) {
  const [from, setFrom] = useState(Math.max(0, nodes.length - SHOWN));
  const top = useRef();
  const end = useRef();
  const stick = useRef(true);
  const last = nodes.at(-1);
  const [told, tell] = useState("");
  const was = useRef();
  const asking = last?.parts?.find((part) => part.state === "asking");
  const all = useMemo(() => versions(one), [one, Object.keys(one.nodes).length]);

  // Earlier turns, as one comes to them.
  useEffect(() => {
    if (!from) return;
    const seen = new IntersectionObserver(([entry]) => entry.isIntersecting && setFrom((now) => Math.max(0, now - MORE)), { rootMargin: "1200px" });
    seen.observe(top.current);
    return () => seen.disconnect();
  }, [from]);
  useEffect(() => {
    // Near the end it follows what is written; whoever scrolls up, however little, stays there.
    let before = scrollY;
    const onScroll = () => {
      const below = document.documentElement.scrollHeight - innerHeight - scrollY;
      stick.current = below < (scrollY < before ? 4 : 120);
      before = scrollY;
    };
    addEventListener("scroll", onScroll, { passive: true });
    return () => removeEventListener("scroll", onScroll);
  }, []);
  useEffect(() => {
    stick.current = true;
    setFrom(Math.max(0, nodes.length - SHOWN)); // what was looked at above is not drawn with every word below
  }, [nodes.length]);
  useEffect(() => {
    if (stick.current) scrollTo({ top: document.documentElement.scrollHeight });
  });
  // A screen reader hears an answer when it is whole, not letter by letter.
  useEffect(() => {
    if (was.current === "running" && last.state !== "running" && last.role === "assistant") {
      const text = last.parts.filter((part) => part.kind === "text").map((part) => part.text).join(" ");
      tell(t("talk.answered", { text: text.slice(0, 400) }));
    }
    was.current = last?.state;
  }, [last?.state]);

  return html`
    <div class="turns">
      ${from > 0 && html`<p ref=${top} class="small muted earlier">${t("talk.earlier")}</p>`}
      ${nodes.slice(from).map((node) => html`<${Frozen} key=${node.id} node=${node} all=${all.get(slot(node))} act=${act} about=${about} last=${node === last} />`)}
      <div ref=${end}></div>
      <p class="sr" role="status">${asking ? `${t("talk.call_of", { name: bare(asking.name) })}: ${t("talk.call_asking")}` : told}</p>
    </div>
  `;
}

// A turn that has ended is drawn once, and again only if something about it changes.
function Frozen({ node, all, act, about, last }) {
  const asked = node.parts?.filter((part) => part.kind === "call").map((part) => part.state).join();
  const moving = node.state === "running" ? turn.get() : 0;
  return useMemo(
    () => html`<${Turn} node=${node} all=${all} act=${act} about=${about} last=${last} />`,
    [node, node.state, moving, asked, last, all.length, language(), node.text],
  );
}

// ---- the composer ----

function Composer({ about, disabled, onTune, onSay }) {
  const [text, set] = useState("");
  const [files, setFiles] = useState([]);
  const [refused, refuse] = useState("");
  const area = useRef();
  const picker = useRef();
  const running = answering(talk.get());

  useEffect(() => {
    area.current.style.height = "auto";
    area.current.style.height = Math.min(area.current.scrollHeight, innerHeight * 0.4) + "px";
  }, [text]);

  async function attach(chosen) {
    refuse("");
    const read = [];
    for (const file of chosen) {
      const body = file.size <= FILE_BYTES ? await file.text().catch(() => "\0") : ""; // a folder has none
      if (file.size > FILE_BYTES) refuse(t("talk.file_large", { name: file.name, count: FILE_BYTES / 1024 }));
      else if (body.includes("\0")) refuse(t("talk.file_binary", { name: file.name }));
      else read.push({ name: file.name, text: body });
    }
    setFiles((before) => [...before, ...read]);
  }
  function send(event) {
    event?.preventDefault();
    if ((!text.trim() && !files.length) || running || disabled) return;
    onSay(text, files.length ? files : undefined);
    set("");
    setFiles([]);
  }
  const onKey = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) send(event);
  };
  const drop = (event) => {
    const { files } = event.dataTransfer;
    if (!files.length) return; // words go into the text
    event.preventDefault();
    attach([...files]);
  };

  return html`
    <form class="composer" onSubmit=${send} onDragOver=${(event) => event.preventDefault()} onDrop=${drop}>
      ${refused && html`<${Notice} tone="warn" live>${refused}<//>`}
      ${files.length > 0 && html`<ul class="files">${files.map((file, i) => html`
        <li class="tag"><${Icon} name="clip" />${file.name}
          <button type="button" aria-label=${t("talk.file_drop", { name: file.name })} onClick=${() => setFiles(files.filter((_, j) => j !== i))}><${Icon} name="close" /></button></li>`)}</ul>`}
      <label class="sr" for="said">${t("talk.say")}</label>
      <textarea id="said" ref=${area} rows="1" placeholder=${t("talk.say_to", { model: about.model })} value=${text}
        onInput=${(event) => set(event.target.value)} onKeyDown=${onKey}></textarea>
      <div class="composer-row">
        <input ref=${picker} type="file" multiple hidden onChange=${(event) => (attach([...event.target.files]), (event.target.value = ""))} />
        <${Button} kind="quiet" icon="clip" label=${t("talk.attach")} onClick=${() => picker.current.click()} />
        <${Button} kind="quiet" icon="tune" label=${t("talk.settings")} onClick=${onTune} />
        <span class="small muted model">${about.model}</span>
        ${running
          ? html`<${Button} icon="stop" onClick=${() => stop(running)}>${t("talk.stop")}<//>`
          : html`<button class="button primary send" aria-label=${t("talk.send")} title=${t("talk.send")} disabled=${disabled || (!text.trim() && !files.length)}><${Icon} name="send" /></button>`}
      </div>
    </form>
  `;
}

// ---- before the first word ----

function Welcome({ about }) {
  const anatomy = about.anatomy;
  const share = anatomy && { chosen: anatomy.chosen, experts: anatomy.experts };
  const tries = [
    { icon: "tool", title: t("talk.try_tool"), text: t("talk.try_tool_text"), go: () => say(t("talk.try_tool_ask"), undefined, anatomy), quote: t("talk.try_tool_ask") },
    { icon: "inside", title: t("talk.try_inside"), text: share ? t("talk.try_inside_text", share) : t("talk.try_inside_remote"), go: () => router.go("inside", "ask") },
    { icon: "plan", title: t("talk.try_plan"), text: t("talk.try_plan_text"), go: () => router.go("plan") },
  ];
  return html`
    <div class="welcome">
      <p class="welcome-line">${t("talk.welcome")}</p>
      <p class="lead muted">${t("talk.welcome_text", { model: about.model })}</p>
      <ul class="tries">
        ${tries.map((one) => html`
          <li><button type="button" onClick=${one.go}>
            <${Icon} name=${one.icon} /><strong>${one.title}</strong><span class="muted">${one.text}</span>
            ${one.quote && html`<q>${one.quote}</q>`}
          </button></li>`)}
      </ul>
    </div>
  `;
}

// ---- the other conversations ----

function List({ about, onOpen, onNew }) {
  const found = list.use();
  const why = trouble.use();
  const [looked, look] = useState("");
  if (!found) return html`<p class="muted">${t("talk.reading")}</p>`;
  const shown = found.filter((one) => one.title.toLowerCase().includes(looked.toLowerCase()));
  const drop = async (one, event) => {
    event.currentTarget.closest(".stack").querySelector(".button").focus(); // the one that was pressed goes away
    forget(one.id);
    try {
      await shelf(place()).drop(one.id);
      otherTabs.postMessage(one.id);
    } catch {
      dropped.delete(one.id); // it is there still, and can be gone on with
    }
    refresh();
  };
  return html`
    <div class="stack">
      <${Button} icon="plus" onClick=${onNew}>${t("talk.new")}<//>
      ${found.length > 7 && html`<${Field} label=${t("talk.find")} control=${(id) => html`<input id=${id} type="search" value=${looked} onInput=${(event) => look(event.target.value)} />`} />`}
      ${!shown.length && (why ? html`<${Notice} tone="warn">${why}<//>` : html`<${Empty} title=${t("talk.none")} />`)}
      <ul class="list">
        ${shown.slice(0, 200).map((one) => html`
          <li class=${one.id === talk.get().id ? "open" : ""}>
            <button type="button" class="list-open" onClick=${() => onOpen(one.id)} aria-current=${one.id === talk.get().id ? "true" : undefined}>
              <span>${one.title || t("talk.untitled")}</span><span class="small muted">${date(one.changed, { dateStyle: "medium", timeStyle: "short" })}</span>
            </button>
            <${Button} kind="quiet" icon="trash" label=${t("talk.drop", { title: one.title })} onClick=${(event) => drop(one, event)} />
          </li>`)}
      </ul>
      <p class="small muted">${place() === "server" ? t("talk.place_server_text") : t("talk.place_browser_text")}</p>
    </div>
  `;
}
