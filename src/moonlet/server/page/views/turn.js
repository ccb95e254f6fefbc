// One turn of a conversation: what was said, or an answer with its thoughts, calls and figures.

import { Button, Dialog, html, Icon, money, Notice, number, seconds, t, useEffect, useRef, useState } from "../ui.js";
import { bare, covered } from "../bare.js";
import { exact } from "../exact.js";
import { Markdown, toClipboard } from "../markdown.js";
import { answer } from "../runs.js";
import { curl, python } from "../requests.js";

// `all`: the versions of this turn.
export function Turn({ node, all, act, about, last }) {
  return node.role === "user"
    ? html`<${Said} node=${node} all=${all} act=${act} />`
    : html`<${Answer} node=${node} all=${all} act=${act} about=${about} last=${last} />`;
}

function Said({ node, all, act }) {
  const [text, edit] = useState(null);
  const area = useRef();
  const said = useRef();
  useEffect(() => {
    if (text === null) return;
    area.current.focus();
    return () => setTimeout(() => said.current?.querySelector(".tools > .button")?.focus());
  }, [text === null]);
  const send = (event) => {
    event.preventDefault();
    edit(null);
    act.edit(node, text);
  };
  if (text !== null)
    return html`
      <form class="said editing" onSubmit=${send}>
        <label class="sr" for=${"edit-" + node.id}>${t("talk.edit")}</label>
        <textarea id=${"edit-" + node.id} ref=${area} rows=${Math.min(12, text.split("\n").length + 1)} value=${text}
          onInput=${(event) => edit(event.target.value)} onKeyDown=${(event) => event.key === "Escape" && edit(null)}></textarea>
        <div class="row"><button class="button primary" disabled=${!text.trim() && !node.files}>${t("talk.send")}</button><${Button} onClick=${() => edit(null)}>${t("talk.cancel")}<//></div>
      </form>
    `;
  return html`
    <article ref=${said} class="said" aria-label=${t("talk.you")}>
      <div class="bubble">${node.text}${node.files?.map((file) => html`
        <details class="file"><summary><${Icon} name="clip" />${file.name}</summary><pre tabindex="0">${file.text}</pre></details>`)}</div>
      <div class="tools">
        <${Branches} node=${node} all=${all} act=${act} />
        <${Button} kind="quiet" icon="edit" label=${t("talk.edit")} onClick=${() => edit(node.text)} />
      </div>
    </article>
  `;
}

function Answer({ node, all, act, about, last }) {
  const [asked, ask] = useState(false);
  const running = node.state === "running";
  const text = node.parts.filter((part) => part.kind === "text").map((part) => part.text).join("\n\n");
  const end = node.parts.at(-1);
  return html`
    <article class="answer" aria-label=${about.model} aria-busy=${running}>
      ${node.parts.map((part) => html`<${Part} key=${part} part=${part} node=${node} live=${running && part === end} />`)}
      ${running && (!end || (end.kind === "call" && end.result !== undefined)) && html`<p class="waiting small muted"><span class="pulse"></span>${t("talk.working")}</p>`}
      ${running && node.link === "waiting" && html`<p class="waiting small warn"><span class="pulse"></span>${t("talk.link_waiting")}</p>`}
      ${node.error && html`<${Notice} tone="bad" live>${node.error.status === 404 ? t("talk.run_gone") : node.error.message}<//>`}
      ${!running && node.reason && !["stop", "cancelled"].includes(node.reason) && html`<${Notice} tone="warn">${t("talk.limit", { what: t("talk.limit_" + node.reason) })}<//>`}
      ${!running && node.reason === "cancelled" && html`<p class="small muted">${t("talk.stopped")}</p>`}
      ${!running && html`
        <footer class="answer-foot">
          <${Branches} node=${node} all=${all} act=${act} />
          <${Copy} text=${text} />
          <${Button} kind="quiet" icon="again" label=${t("talk.again")} onClick=${() => act.again(node)} />
          <${Button} kind="quiet" onClick=${() => ask(true)} label=${t("talk.as_request")}><span class="mono">{ }</span><//>
          <${Figures} node=${node} />
        </footer>`}
      ${asked && html`<${AsRequest} body=${act.request(node)} about=${about} onClose=${() => ask(false)} />`}
    </article>
  `;
}

function Part({ part, node, live }) {
  switch (part.kind) {
    case "text":
      return html`<${Markdown} text=${part.text} live=${live} />`;
    case "thinking":
      return html`<${Thinking} part=${part} live=${live} />`;
    case "call":
      return html`<${Card} part=${part} node=${node} />`;
    case "notice":
      return html`<${Notice}>${part.text}<//>`;
  }
}

function Thinking({ part, live }) {
  const words = part.text.trim().split(/\s+/).length;
  return html`
    <details class="thinking" key="thinking">
      <summary>${live ? html`<span class="pulse"></span>${t("talk.thinking")}` : t("talk.thought", { count: words })}</summary>
      <div class="thinking-text">${part.text}</div>
    </details>
  `;
}

// ---- calls ----

const MARKS = { done: "check", failed: "warn", denied: "close", asking: "warn", left: "warn" };

function Card({ part, node }) {
  const { state } = part;
  const usage = node.replies[part.reply];
  const tone = { done: "good", failed: "bad", denied: "bad", asking: "warn", left: "warn" }[state] ?? "";
  return html`
    <section class=${"card " + state} aria-label=${t("talk.call_of", { name: part.name })}>
      <header class="card-head">
        <span class=${"card-mark " + tone}>${MARKS[state] ? html`<${Icon} name=${MARKS[state]} />` : html`<span class="pulse"></span>`}</span>
        <strong class="mono">${bare(part.name)}</strong>
        <span class="small muted">${t("talk.call_" + state)}</span>
        <span class="card-cost small muted number">
          ${part.seconds > 0 && html`<span title=${t("talk.call_time")}>${seconds(part.seconds)}</span>`}
          ${usage && html`<span title=${t("talk.call_tokens")}>${t("talk.tokens", { count: usage.output_tokens })}</span>`}
          ${usage?.usd != null && html`<span title=${t("talk.call_cost")}>${money(usage.usd)}</span>`}
        </span>
      </header>
      <${Arguments} text=${part.arguments} />
      ${part.progress && state === "running" && html`<p class="small muted">${part.progress}</p>`}
      ${state === "asking" && part.question && html`<${Asking} question=${part.question} node=${node} />`}
      ${part.result !== undefined && html`<${Result} text=${part.result} failed=${state === "failed"} />`}
    </section>
  `;
}

function parsed(text) {
  const value = exact(text);
  return value && typeof value === "object" ? value : undefined;
}
const inner = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function Arguments({ text: written }) {
  const text = bare(written);
  const value = parsed(written);
  if (!value || Array.isArray(value)) return text.trim() && html`<pre class="card-text" tabindex="0">${text}</pre>`;
  const all = Object.entries(value);
  if (!all.length) return null;
  return html`<dl class="pairs">${all.map(([name, one]) => html`<div><dt>${bare(name)}</dt><dd>${bare(inner(one))}</dd></div>`)}</dl>`;
}

const SHORT = 280;
function Result({ text, failed }) {
  const value = parsed(text);
  const flat = value && !Array.isArray(value) && Object.values(value).every((one) => one === null || typeof one !== "object");
  const body = flat
    ? html`<dl class="pairs result">${Object.entries(value).map(([name, one]) => html`<div><dt>${name}</dt><dd>${inner(one)}</dd></div>`)}</dl>`
    : html`<pre class=${"card-text result" + (failed ? " bad" : "")} tabindex="0">${value ? JSON.stringify(value, null, 2) : text}</pre>`;
  return text.length <= SHORT ? body : html`<details><summary class="small">${t("talk.result", { count: text.length })}</summary>${body}</details>`;
}

function Asking({ question, node }) {
  const [sent, send] = useState(false);
  const [problem, fail] = useState("");
  const say = async (said) => {
    send(true);
    await answer(node.run, question.number, said).catch((error) => (send(false), fail(error.message)));
  };
  const why = question.why.startsWith("sends") ? "talk.asks_send" : "talk.asks_change";
  return html`
    <div class="asking" role="group" aria-label=${t("talk.asks")}>
      <p>${t(why)}</p>
      ${question.hints && html`<p class="small muted">${bare(question.hints)}</p>`}
      <div class="row">
        <${Button} kind="primary" disabled=${sent} onClick=${() => say("yes")}>${t("talk.approve")}<//>
        <${Button} kind="danger" disabled=${sent} onClick=${() => say("no")}>${t("talk.deny")}<//>
        <${Button} disabled=${sent} onClick=${() => say("always")}>${t("talk.always")}<//>
      </div>
      <p class="small muted">${t("talk.always_what", { what: covered(question.lasting, question.name) })}</p>
      ${problem && html`<${Notice} tone="bad" live>${problem}<//>`}
    </div>
  `;
}

// ---- below an answer ----

function Branches({ node, all, act }) {
  if (all.length < 2) return null;
  const at = all.indexOf(node);
  return html`
    <span class="branches" role="group" aria-label=${t("talk.branches")}>
      <${Button} kind="quiet" icon="left" label=${t("talk.branch_before")} disabled=${!at} onClick=${() => act.turn(all[at - 1])} />
      <span class="small number">${at + 1}/${all.length}</span>
      <${Button} kind="quiet" icon="right" label=${t("talk.branch_after")} disabled=${at === all.length - 1} onClick=${() => act.turn(all[at + 1])} />
    </span>
  `;
}

function Copy({ text, label = t("talk.copy") }) {
  const [done, set] = useState(false);
  const copy = async () => {
    if (!(await toClipboard(text))) return;
    set(true);
    setTimeout(() => set(false), 1500);
  };
  return html`<${Button} kind="quiet" icon=${done ? "check" : "copy"} label=${done ? t("talk.copied") : label} onClick=${copy} />`;
}

function Figures({ node }) {
  if (!node.replies.length) return null;
  const sum = (field) => node.replies.reduce((total, one) => total + (one[field] ?? 0), 0);
  const tokens = sum("output_tokens");
  const speed = sum("decode_s") > 0 ? sum("decode_tokens") / sum("decode_s") : 0;
  const paid = node.replies.some((one) => one.usd != null);
  const told = [t("talk.tokens", { count: tokens })];
  if (speed) told.push(t("talk.speed", { speed: number(speed, speed < 10 ? 1 : 0) }));
  if (paid) told.push(money(sum("usd")));
  return html`<span class="figures-line small muted number">${told.join(" · ")}</span>`;
}

function AsRequest({ body, about, onClose }) {
  const [kind, set] = useState("curl");
  const text = { curl, python }[kind](body, about);
  return html`
    <${Dialog} title=${t("talk.as_request")} onClose=${onClose}>
      <div class="row">
        <div class="row" role="tablist" aria-label=${t("talk.as_request")}>${["curl", "python"].map((one) => html`<button type="button" role="tab" class=${"button" + (one === kind ? " primary" : "")} aria-selected=${one === kind} onClick=${() => set(one)}>${one === "curl" ? "curl" : "Python"}</button>`)}</div>
        <${Copy} text=${text} />
      </div>
      <pre class="card-text request" tabindex="0">${text}</pre>
      <p class="small muted">${t("talk.as_request_text")}</p>
    <//>
  `;
}

