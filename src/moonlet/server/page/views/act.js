// Act: runs of agents as they go on: steps, tools, how long each took, and what waits for a yes or a no.

import {
  api, Button, compact, date, Empty, html, Icon, listen, money, Notice, number, Page, Panel, seconds, Stat, Stats, t, Tag, time,
  useEffect, useRef, useState,
} from "../ui.js";
import { bare, covered } from "../bare.js";
import { exact } from "../exact.js";

const TICK_MS = 500; // what is under way grows so often

export function View({ path }) {
  const { runs, problem, steps } = useRuns(path[0]);
  const asked = (runs ?? []).flatMap((run) => run.asks.map((question) => ({ run, question })));
  const chosen = runs?.find((run) => run.id === path[0]) ?? (path[0] ? undefined : runs?.[0]);
  return html`
    <${Page} name="act" wide title=${t("act.title")} lead=${t("act.lead")}>
      ${problem && html`<${Notice} tone="bad" live>${problem.message}<//>`}
      <p class="sr" role="status">${asked.length ? t("act.waiting", { count: asked.length }) : ""}</p>
      ${asked.length > 0 && html`
        <section class="asks" aria-label=${t("act.asks")}>
          ${asked.map(({ run, question }) => html`<${Ask} key=${`${run.id}/${question.question}`} run=${run} question=${question} />`)}
        </section>`}
      ${runs && !runs.length && html`<${Panel}><${Empty} title=${t("act.empty")}><p class="muted">${t("act.empty_text")}</p><//><//>`}
      ${runs?.length > 0 && html`
        <div class=${"act" + (path[0] ? " one" : "")}>
          <${List} runs=${runs} chosen=${chosen} />
          ${chosen && html`<${Run} key=${chosen.id} run=${chosen} steps=${steps[chosen.id]} />`}
          ${runs && path[0] && !chosen && html`<${Notice}>${t("act.gone")}<//>`}
        </div>`}
    <//>
  `;
}

// All runs as they change, and the lines of the one that is looked at. A server that was started again knows none of the
// old numbers and says so: then everything is asked for anew.
function useRuns(wanted) {
  const [state, set] = useState({ runs: null, steps: {}, problem: null });
  const [turn, again] = useState(0);
  const known = useRef(state);
  const change = (make) => set((known.current = { ...known.current, ...make(known.current) }));
  const { runs, steps } = state;
  const id = wanted ?? runs?.[0]?.id;

  useEffect(() => {
    let stream;
    let gone = false;
    (async () => {
      try {
        const found = await api.get("act");
        if (gone) return;
        change(() => ({ runs: found.runs, steps: {}, problem: null }));
        stream = listen(`act/events?after=${found.at}`, {
          onFrame: hear,
          onState: (how, why) => {
            if (how === "over" || (how === "lost" && why.status !== 401)) setTimeout(() => again((count) => count + 1), 1000);
          },
        });
      } catch (problem) {
        if (!gone) change(() => ({ problem: problem.status === 401 ? null : problem }));
        if (problem.passing !== false) setTimeout(() => !gone && again((count) => count + 1), Math.max(1000, problem.wait ?? 0));
      }
    })();
    return () => ((gone = true), stream?.close());
  }, [turn]);

  useEffect(() => {
    if (id && runs && !steps[id]) load(id);
  }, [id, !runs, !steps[id]]);

  async function load(one) {
    try {
      const found = await api.get(`act/${encodeURIComponent(one)}`);
      change((before) => ({ steps: { ...before.steps, [one]: found.steps } }));
    } catch (problem) {
      if (problem.status && problem.status !== 404 && problem.status !== 401) change(() => ({ problem }));
    }
  }

  function hear(frame) {
    if (frame.kind === "again") return again((count) => count + 1);
    change((before) => {
      const others = before.runs.filter((run) => run.id !== frame.run.id);
      const found = before.runs.some((run) => run.id === frame.run.id)
        ? before.runs.map((run) => (run.id === frame.run.id ? frame.run : run))
        : [frame.run, ...others];
      const lines = before.steps[frame.run.id];
      if (frame.kind !== "line" || !lines || frame.line < lines.length) return { runs: found };
      if (frame.line > lines.length) load(frame.run.id); // some were missed
      return { runs: found, steps: { ...before.steps, [frame.run.id]: frame.line === lines.length ? [...lines, frame.step] : lines } };
    });
  }

  return state;
}

const TONES = { asking: "warn", waiting: "warn", working: "accent" };
const STATES = { working: "act.working", asking: "act.asking", waiting: "act.input" };
const REASONS = {
  stop: "act.done", cancelled: "act.cancelled", error: "act.failed", length: "act.limit", steps: "act.limit_steps", tokens: "act.limit_tokens",
  seconds: "act.limit_seconds", usd: "act.limit_usd",
};
const ORIGINS = { page: "act.from_page", a2a: "act.from_a2a" };

function State({ run }) {
  if (run.state !== "over") return html`<${Tag} tone=${TONES[run.state]}>${t(STATES[run.state])}<//>`;
  const tone = run.reason === "stop" ? "good" : run.reason === "error" ? "bad" : "warn";
  return html`<${Tag} tone=${tone}>${t(REASONS[run.reason] ?? "act.over")}<//>`;
}

const title = (run) => run.title || (run.own ? t("act.untitled") : t("act.of", { who: run.who || t("act.somebody") }));

const List = ({ runs, chosen }) => html`
  <nav class="act-list" aria-label=${t("act.runs")}>
    <ul>
      ${runs.map((run) => html`
        <li key=${run.id}>
          <a href=${"#/act/" + encodeURIComponent(run.id)} aria-current=${run.id === chosen?.id ? "true" : undefined}>
            <span class="act-title">${title(run)}</span>
            <span class="small muted row"><${State} run=${run} /> ${date(run.began * 1000, { dateStyle: "short", timeStyle: "short" })}</span>
          </a>
        </li>`)}
    </ul>
  </nav>
`;

function Run({ run, steps }) {
  const now = useNow(run.state === "working" && !!steps);
  const told = steps ? timeline(steps, run, now) : null;
  const spent = steps?.findLast((line) => line.event === "end")?.spent;
  const [problem, set] = useState(null);
  const stop = () => api.send(`act/${encodeURIComponent(run.id)}/stop`, {}).catch(set);
  return html`
    <div class="act-run stack">
      <a class="act-back small" href="#/act"><${Icon} name="left" />${t("act.back")}</a>
      <${Panel} title=${title(run)} actions=${run.stoppable && html`<${Button} icon="stop" kind="danger" onClick=${stop}>${t("act.stop")}<//>`}>
        ${problem && html`<${Notice} tone="bad" live>${problem.message}<//>`}
        <${Stats}>
          <${Stat} name=${t("act.state")} value=${html`<${State} run=${run} />`} />
          <${Stat} name=${t("act.model")} value=${run.model} />
          <${Stat} name=${t("act.begun")} value=${time(run.began * 1000)} note=${t(ORIGINS[run.origin])} />
          ${told && html`<${Stat} name=${t("act.took")} value=${seconds(told.to - told.from)} />`}
          ${spent && html`<${Stat} name=${t("act.calls")} value=${number(spent.calls)} note=${t("act.steps", { count: spent.steps })} />`}
          ${spent && html`<${Stat} name=${t("act.tokens")} value=${compact(spent.prompt_tokens + spent.output_tokens)} note=${spent.usd ? money(spent.usd) : undefined} />`}
        <//>
        ${!run.own && html`<p class="small muted">${t("act.unsaid")}</p>`}
        ${told ? html`<${Timeline} told=${told} />` : html`<p aria-busy="true" class="muted">…</p>`}
      <//>
    </div>
  `;
}

function useNow(on) {
  const [now, set] = useState(Date.now() / 1000);
  useEffect(() => {
    if (!on) return;
    const timer = setInterval(() => set(Date.now() / 1000), TICK_MS);
    return () => clearInterval(timer);
  }, [on]);
  return now;
}

// Lines of a record as rows with a beginning and an end. Calls stand below the reply that made them.
function timeline(lines, run, now) {
  const rows = [];
  let calls = []; // of the last reply, by place
  const last = () => lines.at(-1)?.time ?? run.began;
  const call = (line) => calls[line.index] ?? (calls[line.index] = push({ kind: "call", name: line.name, arguments: "", from: line.time }));
  const push = (row) => (rows.push(row), row);
  for (const line of lines) {
    if (line.event === "message" && line.message.role === "user") {
      if (rows.at(-1)?.kind === "user") rows.pop(); // what was said before this run began
      push({ kind: "user", text: line.message.content, from: line.time, to: line.time });
    }
    else if (line.event === "reply") {
      const { content, reasoning_content: thinking, tool_calls: made = [] } = line.message;
      push({ kind: "reply", text: content, thinking, usage: line.usage, finish: line.finish, from: line.time - line.seconds, to: line.time });
      calls = made.map((one) => push({ kind: "call", id: one.id, name: one.function.name, arguments: one.function.arguments }));
    } else if (line.event === "ask") {
      const row = calls.find((one) => one.id === line.id && !one.result) ?? {};
      Object.assign(row, { asked: line.time, asking: line.question, from: row.from ?? line.time });
    } else if (line.event === "answer") {
      const row = calls.find((one) => one.asking === line.question);
      if (row) Object.assign(row, { answer: line.answer, answered: line.time, asking: null });
    } else if (line.event === "ruling") Object.assign(call(line), { allowed: line.allowed, by: line.by });
    else if (line.event === "call") Object.assign(call(line), { from: line.time, changes: line.changes });
    else if (line.event === "result") {
      const row = call(line);
      Object.assign(row, { result: line.text, failed: line.failed, from: row.from ?? line.time - line.seconds, to: line.time, seconds: line.seconds });
    } else if (line.event === "notice") push({ kind: "notice", text: line.text, from: line.time, to: line.time });
  }
  const over = run.state === "over";
  const from = lines[0]?.time ?? run.began;
  const to = Math.max(over ? run.ended ?? last() : run.state === "working" ? now : last(), last(), from + 0.001);
  const open = rows.filter((row) => row.kind === "call" && row.to === undefined);
  for (const row of open) Object.assign(row, { from: row.from ?? last(), to: over ? row.from ?? last() : to, open: !over });
  if (run.state === "working" && !open.length && rows.length) push({ kind: "reply", from: last(), to, open: true });
  return { rows, from, to };
}

function Timeline({ told: { rows, from, to } }) {
  const place = (row) => {
    const left = ((row.from - from) / (to - from)) * 100;
    return { left: `${Math.max(0, Math.min(left, 100))}%`, width: `${Math.max(((row.to - row.from) / (to - from)) * 100, 0)}%` };
  };
  return html`<ol class="timeline" aria-label=${t("act.timeline")}>${rows.map((row, i) => html`<${Row} key=${i} row=${row} style=${place(row)} />`)}</ol>`;
}

function Row({ row, style }) {
  const long = row.seconds ?? row.to - row.from;
  const timed = row.kind === "reply" || row.kind === "call";
  const details = row.kind === "call" ? row.arguments || row.result : row.text || row.thinking;
  const head = html`
    <span class="timeline-name"><${Icon} name=${{ user: "talk", reply: "edit", call: "tool", notice: "warn" }[row.kind]} /><span>${name(row)}</span>${flag(row)}</span>
    <span class="timeline-track" aria-hidden="true">${timed && html`<i class=${[row.kind, row.open ? "open" : "", row.failed ? "failed" : ""].join(" ")} style=${style}></i>`}</span>
    <span class="number small muted timeline-long">${timed && (row.asking ? "" : seconds(Math.max(long, 0)))}</span>
  `;
  return html`
    <li class=${row.kind === "call" ? "nested" : ""}>
      ${details ? html`<details><summary>${head}</summary><${Said} row=${row} /></details>` : html`<div class="timeline-row">${head}</div>`}
    </li>
  `;
}

function name(row) {
  if (row.kind === "call") return bare(row.name);
  if (row.kind === "notice") return t("act.notice");
  if (row.kind === "user") return row.text ? cut(row.text) : t("act.user");
  if (row.open) return t("act.writing");
  return row.text ? cut(row.text) : t("act.reply");
}
const cut = (text) => (text.length > 90 ? text.slice(0, 88) + "…" : text);

function flag(row) {
  if (row.kind !== "call") return row.usage && html`<span class="small muted number">${t("act.wrote", { count: row.usage.output_tokens })}</span>`;
  if (row.asking) return html`<${Tag} tone="warn">${t("act.asking")}<//>`;
  if (row.allowed === false || row.answer === "no") return html`<${Tag} tone="bad">${t("act.denied")}<//>`;
  if (row.failed) return html`<${Tag} tone="bad">${t("act.failed")}<//>`;
  if (row.open) return html`<${Tag} tone="accent">${t("act.running")}<//>`;
  return row.allowed && html`<${Tag} tone="good">${t("act.allowed")}<//>`;
}

const Said = ({ row }) => html`
  <div class="timeline-said stack">
    ${row.kind === "call" && row.arguments && html`<${Text} title=${t("act.arguments")} text=${pretty(row.arguments)} />`}
    ${row.by && html`<p class="small muted">${t(row.allowed === false || row.answer === "no" ? "act.denied_by" : "act.allowed_by", { by: row.by })}</p>`}
    ${row.kind === "call" && row.result !== undefined && html`<${Text} title=${t("act.result")} text=${row.result} />`}
    ${row.thinking && html`<${Text} title=${t("act.thinking")} text=${row.thinking} />`}
    ${row.kind !== "call" && row.text && html`<${Text} title=${row.kind === "user" ? t("act.user") : t("act.reply")} text=${row.text} />`}
  </div>
`;

// Of models and tools: never anything but text.
const Text = ({ title, text }) => html`
  <div><p class="small muted">${title}</p><pre class="told" tabindex="0" role="region" aria-label=${title}>${bare(text)}</pre></div>
`;

function pretty(text) {
  const value = exact(text);
  return value === undefined ? text : JSON.stringify(value, null, 2);
}

const WHY = { "can change things": "act.why_changes", "sends its arguments out": "act.why_sends" };

// A call that waits for its owner.
function Ask({ run, question }) {
  const [problem, set] = useState(null);
  const [sent, setSent] = useState(false);
  async function answer(said) {
    setSent(true);
    try {
      await api.send(`act/${encodeURIComponent(run.id)}/answer`, { question: question.question, answer: said });
    } catch (found) {
      set(found);
      setSent(false);
    }
  }
  return html`
    <div class="panel ask" role="group" aria-label=${t("act.ask", { tool: bare(question.name) })}>
      <div class="row spread">
        <h2><${Icon} name="tool" /> ${t("act.ask", { tool: bare(question.name) })}</h2>
        <a class="small" href=${"#/act/" + encodeURIComponent(run.id)}>${title(run)}</a>
      </div>
      <p>${WHY[question.why] ? t(WHY[question.why]) : question.why}</p>
      ${question.arguments && question.arguments !== "{}" && html`<${Text} title=${t("act.arguments")} text=${pretty(question.arguments)} />`}
      ${question.hints && html`<p class="small muted" lang="en">${bare(question.hints)}</p>`}
      ${problem && html`<${Notice} tone="bad" live>${problem.message}<//>`}
      <div class="row">
        <${Button} kind="primary" icon="check" disabled=${sent} onClick=${() => answer("yes")}>${t("act.approve")}<//>
        <${Button} kind="danger" icon="close" disabled=${sent} onClick=${() => answer("no")}>${t("act.deny")}<//>
        <${Button} disabled=${sent} onClick=${() => answer("always")}>${t("act.always")}<//>
      </div>
      <p class="small muted">${t("act.covers")} ${covered(question.lasting, question.name)}</p>
    </div>
  `;
}
