// Look inside: which experts worked on which token, and what that took.

import {
  api, bytes, Button, compact, Empty, html, Icon, Notice, number, Page, Panel, percent, seconds, Stat, Stats, t, useEffect, useMemo, useRef, useState,
} from "../ui.js";
import { latest } from "../look.js";
import { turn } from "../runs.js";
import { heatColour, Sky } from "../sky.js";
import { answering } from "../talks.js";
import { say, talk } from "./talk.js";
import { settings } from "./settings.js";

const PARTS = ["attention", "router", "experts", "disk", "dense", "head"];
const TIERS = ["memory", "pinned", "cached", "disk"];

export function View({ about, path }) {
  const { anatomy } = about;
  const now = latest.use();
  const [, again] = useState(0);
  const [chosen, choose] = useState(null); // {token} or {layer, expert}
  const look = now?.look;

  // Figures follow a few times a second; the map itself, every frame.
  useEffect(() => {
    choose(null);
    if (!look) return;
    let timer = 0;
    const draw = () => (timer ||= setTimeout(() => ((timer = 0), again((count) => count + 1)), 150));
    const leave = look.subscribe(draw);
    draw(); // of a short reply all may have come before anybody listened
    return () => (leave(), clearTimeout(timer));
  }, [look]);

  if (!anatomy) return html`<${Page} name="inside" title=${t("shell.inside")}><${Empty} title=${t("inside.remote")} /><//>`;
  return html`
    <${Page} name="inside" wide title=${t("shell.inside")} lead=${t("inside.lead")}>
      <${Ask} about=${about} focus=${path[0] === "ask"} />
      <${Statement} anatomy=${anatomy} look=${look} />
      <div class="inside-grid">
        <div class="stack">
          <${SkyPanel} anatomy=${anatomy} look=${look} chosen=${chosen} choose=${choose} />
          ${look && html`<${Tokens} look=${look} chosen=${chosen} choose=${choose} />`}
        </div>
        <div class="stack">
          <${Inspector} anatomy=${anatomy} look=${look} chosen=${chosen} choose=${choose} />
          <${Took} anatomy=${anatomy} look=${look} chosen=${chosen} />
          <${Dense} anatomy=${anatomy} look=${look} />
        </div>
      </div>
    <//>
  `;
}

// A question asked here is a turn of the open conversation.
function Ask({ about, focus }) {
  const [text, set] = useState(t("inside.ask_first"));
  const one = talk.use();
  turn.use();
  const running = answering(one);
  const field = useRef();
  useEffect(() => {
    if (focus) field.current?.focus();
  }, [focus]);
  const send = (event) => {
    event.preventDefault();
    if (!text.trim() || running) return;
    if (!settings.get().look) settings.set((before) => ({ ...before, look: true }));
    say(text, undefined, about.anatomy);
  };
  const error = one.nodes[one.leaf]?.error;
  const asked = running?.parts.some((part) => part.state === "asking");
  return html`
    <form class="inside-ask" onSubmit=${send}>
      <label class="sr" for="inside-said">${t("inside.ask")}</label>
      <input id="inside-said" ref=${field} value=${text} onInput=${(event) => set(event.target.value)} placeholder=${t("inside.ask")} />
      <button class="button primary" disabled=${!!running || !text.trim()}>${running ? html`<span class="pulse"></span>` : html`<${Icon} name="inside" />`}<span>${t("inside.watch")}</span></button>
      ${error && html`<${Notice} tone="bad" live>${error.message}<//>`}
      ${asked && html`<${Notice} tone="warn" live><a href="#/act">${t("act.waiting", { count: 1 })}</a><//>`}
    </form>
  `;
}

// The sentence that the whole view is about.
function Statement({ anatomy, look }) {
  const { chosen, experts, sparse_layers: layers, active, parameters } = anatomy;
  const parts = look ? Object.values(look.parts()).reduce((sum, one) => sum + one, 0) : 0;
  const asked = look ? look.hits + look.misses : 0;
  return html`
    <section class="statement" aria-label=${t("inside.statement")}>
      <p class="statement-big">${t("inside.of", { chosen, experts })}</p>
      <p class="statement-text">${t("inside.sentence", { count: layers, active: compact(active, 2), all: compact(parameters, 2), share: percent(active / parameters, active / parameters < 0.1 ? 1 : 0) })}</p>
      <${Stats}>
        <${Stat} name=${t("inside.speed")} value=${parts ? t("inside.per_s", { speed: number(1 / parts, 1 / parts < 10 ? 1 : 0) }) : "–"} />
        <${Stat} name=${t("inside.used")} value=${look?.written ? percent(used(look)) : "–"} note=${look?.written ? t("inside.used_note", { count: look.written }) : undefined} />
        <${Stat} name=${t("inside.from_memory")} value=${bytes(anatomy.bytes_per_token)} note=${t("inside.weights_note")} />
        <${Stat} name=${t("inside.from_disk")} value=${anatomy.streamed ? (look?.written ? bytes(look.bytes / look.written) : "–") : bytes(0)} note=${anatomy.streamed ? t("inside.a_token") : t("inside.all_in_memory")} />
        <${Stat} name=${t("inside.hits")} value=${anatomy.streamed ? (asked ? percent(look.hits / asked, 1) : "–") : percent(1)} note=${t("inside.hits_note")} />
      <//>
    </section>
  `;
}

function used(look) {
  let count = 0;
  for (const one of look.counts) if (one) count++;
  return count / look.counts.length;
}

// ---- the map ----

function SkyPanel({ anatomy, look, chosen, choose }) {
  const canvas = useRef();
  const sky = useRef();
  const [at, point] = useState(null);
  const empty = useMemo(() => new Blank(anatomy), [anatomy]);

  useEffect(() => {
    const made = (sky.current = new Sky(canvas.current, look ?? empty, { pad: 30 }));
    let over = false;
    const ask = async () => {
      if (!anatomy.streamed || over) return;
      try {
        const { tiers } = await api.get("tiers");
        made.tiers = Uint8Array.from(atob(tiers), (letter) => letter.charCodeAt(0));
        made.stale = true;
        made.draw();
      } catch {
        // the next time, perhaps
      }
      setTimeout(ask, 2500);
    };
    ask();
    return () => ((over = true), made.close());
  }, [look]);
  useEffect(() => {
    sky.current.mark(chosen?.token ?? null);
    sky.current.focus = chosen?.layer === undefined ? at : { layer: chosen.layer, expert: chosen.expert };
    sky.current.draw();
  }, [chosen, at, look]);

  const over = (event) => {
    const box = canvas.current.getBoundingClientRect();
    return sky.current.find(event.clientX - box.left, event.clientY - box.top);
  };
  const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const onKey = (event) => {
    const step = STEPS[event.key];
    if (event.key === "Escape") choose(null);
    if (!step) return;
    event.preventDefault();
    const from = chosen?.layer === undefined ? { layer: 0, expert: step[1] < 0 ? 1 : -step[1] } : chosen;
    const clamp = (value, count) => Math.max(0, Math.min(count - 1, value));
    choose({ layer: clamp(from.layer + step[0], anatomy.sparse_layers), expert: clamp(from.expert + step[1], anatomy.experts) });
  };
  const names = layerNames(anatomy);
  return html`
    <section class="night" aria-label=${t("inside.map")}>
      <div class="night-head">
        <h2>${t("inside.map")}</h2>
        <p class="small">${t("inside.map_text", { layers: anatomy.sparse_layers, experts: anatomy.experts })}</p>
      </div>
      <div class="sky-place" data-dense=${anatomy.sparse_layers > 16 ? "yes" : undefined}>
        <canvas ref=${canvas} tabindex="0" role="application" aria-label=${t("inside.map_label", { layers: anatomy.sparse_layers, experts: anatomy.experts })}
          onPointerMove=${(event) => point(over(event))} onPointerLeave=${() => point(null)}
          onClick=${(event) => { const found = over(event); choose(found ?? null); }} onKeyDown=${onKey}></canvas>
        <div class="layer-names" aria-hidden="true">${names.map(({ layer, share }) => html`<span style=${{ top: share * 100 + "%" }}>${layer}</span>`)}</div>
        ${at && html`<${Tip} sky=${sky.current} at=${at} anatomy=${anatomy} look=${look} />`}
      </div>
      <div class="night-foot small">
        <span class="scale" aria-hidden="true">${[0, 0.3, 0.5, 0.7, 0.9, 1].map((heat) => html`<i style=${{ background: heatColour(heat) }}></i>`)}</span>
        <span>${t("inside.scale")}</span>
        ${anatomy.streamed && ["pinned", "cached", "disk"].map((tier) => html`<span class="tier-key"><i class=${"ring " + tier}></i>${t("inside.tier_" + tier)}</span>`)}
      </div>
    </section>
  `;
}

// A sky on which nothing has happened yet.
class Blank {
  constructor({ sparse_layers: layers, experts, chosen }) {
    Object.assign(this, { layers, experts, chosen, tokens: [], written: 0, prompt: 0 });
    this.counts = this.prompts = new Uint32Array(layers * experts);
  }
  subscribe() {
    return () => {};
  }
}

function layerNames({ sparse_layers: layers, dense_layers: before }) {
  const step = layers <= 12 ? 1 : layers <= 30 ? 5 : 10;
  const found = [];
  for (let i = 0; i < layers; i++) {
    const layer = i + before + 1;
    if (step === 1 || layer % step === 0 || !i) found.push({ layer, share: (i + 0.5) / layers });
  }
  return found;
}

function Tip({ sky, at, anatomy, look }) {
  if (!sky?.cell) return null;
  const [x, y] = sky.at(at.layer, at.expert);
  const facts = factsOf(look, anatomy, at);
  const left = x > sky.width * 0.6;
  return html`
    <div class="tip small" style=${{ left: left ? undefined : x + 16 + "px", right: left ? sky.width - x + 16 + "px" : undefined, top: Math.min(y, sky.height - 60) + "px" }}>
      <strong>${t("inside.expert", { layer: at.layer + anatomy.dense_layers + 1, expert: at.expert })}</strong>
      ${facts && html`<span>${t("inside.tip", { share: percent(facts.share, 1), count: facts.count })}</span>`}
    </div>
  `;
}

function factsOf(look, anatomy, { layer, expert }) {
  if (!look?.written && !look?.prompt) return null;
  const place = layer * look.experts + expert;
  const count = look.counts[place];
  return {
    count,
    share: look.written ? count / look.written : 0,
    prompt: look.prompts[place],
    weight: count ? look.weights[place] / count : 0,
    tier: look.tier[place] === 255 ? (anatomy.streamed ? "disk" : "memory") : TIERS[look.tier[place]],
  };
}

// ---- the tokens ----

const visible = (text) => (text === "" ? "·" : text.replace(/\n/g, "↵\n").replace(/^ +$/, "␣"));

function Tokens({ look, chosen, choose }) {
  const { tokens } = look;
  const at = chosen?.token ? tokens.indexOf(chosen.token) : -1;
  const place = useRef();
  const pinned = useRef(false);
  useEffect(() => {
    if (at < 0) place.current.scrollTop = place.current.scrollHeight;
  }, [tokens.length]);
  const index = (event) => {
    const one = event.target.closest("[data-i]");
    return one ? Number(one.dataset.i) : -1;
  };
  const hover = (event) => {
    const i = index(event);
    if (i >= 0 && !pinned.current) choose({ token: tokens[i] });
  };
  const onKey = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") choose(null);
    if (!step) return;
    event.preventDefault();
    const to = Math.max(0, Math.min(tokens.length - 1, (at < 0 ? (step > 0 ? -1 : tokens.length) : at) + step));
    choose({ token: tokens[to] });
  };
  return html`
    <${Panel} title=${t("inside.tokens", { count: look.written })}>
      <p class="small muted">${t("inside.tokens_text")}</p>
      <div class="tokens" ref=${place} role="listbox" tabindex="0" aria-label=${t("inside.tokens_label")} aria-activedescendant=${at >= 0 ? "token-" + at : undefined}
        onPointerOver=${hover} onPointerLeave=${() => !pinned.current && chosen?.token && choose(null)}
        onClick=${(event) => { const i = index(event); pinned.current = i >= 0 && !(pinned.current && i === at); choose(i >= 0 ? { token: tokens[i] } : null); }} onKeyDown=${onKey}>
        ${tokens.map((token, i) => html`<span role="option" id=${"token-" + i} data-i=${i} aria-selected=${i === at} class=${"token" + (i % 2 ? " odd" : "")}>${visible(token.text)}</span>`)}
      </div>
    <//>
  `;
}

// ---- what is pointed at ----

function Inspector({ anatomy, look, chosen, choose }) {
  if (chosen?.token) return html`<${OfToken} anatomy=${anatomy} look=${look} token=${chosen.token} choose=${choose} />`;
  if (chosen?.layer !== undefined) return html`<${OfExpert} anatomy=${anatomy} look=${look} at=${chosen} choose=${choose} />`;
  return html`<${Panel} title=${t("inside.nothing")} class="inspector"><p class="muted small">${t("inside.nothing_text")}</p><//>`;
}

function OfToken({ anatomy, look, token, choose }) {
  const layers = [...Array(look.layers).keys()];
  return html`
    <${Panel} class="inspector" title=${t("inside.token", { text: visible(token.text).trim() || "␣" })}>
      <p class="small muted" role="status">${t("inside.token_text", { chosen: look.chosen, count: look.layers })}</p>
      <table class="of-token">
        <thead><tr><th scope="col">${t("inside.layer")}</th><th scope="col">${t("inside.experts_weights")}</th></tr></thead>
        <tbody>${layers.map((layer) => {
          const from = layer * look.chosen;
          const order = [...Array(look.chosen).keys()].sort((a, b) => token.weights[from + b] - token.weights[from + a]);
          return html`<tr><th scope="row" class="number">${layer + anatomy.dense_layers + 1}</th><td><div class="weights">${order.map((k) => {
            const expert = token.experts[from + k];
            const weight = token.weights[from + k] / 255;
            return html`<button type="button" class=${"weight " + TIERS[token.tiers[from + k]]} onClick=${() => choose({ layer, expert })} title=${t("inside.tier_" + TIERS[token.tiers[from + k]])}>
              <i style=${{ width: weight * 100 + "%" }}></i><span class="number">${expert}</span><span class="number muted">${percent(weight)}</span></button>`;
          })}</div></td></tr>`;
        })}</tbody>
      </table>
    <//>
  `;
}

function OfExpert({ anatomy, look, at, choose }) {
  const facts = factsOf(look, anatomy, at);
  const served = look ? look.served(at.layer, at.expert) : [];
  return html`
    <${Panel} class="inspector" title=${t("inside.expert", { layer: at.layer + anatomy.dense_layers + 1, expert: at.expert })}
      actions=${html`<${Button} kind="quiet" icon="close" label=${t("shell.close")} onClick=${() => choose(null)} />`}>
      ${facts ? html`
        <div role="status"><${Stats}>
          <${Stat} name=${t("inside.share")} value=${percent(facts.share, 1)} note=${t("inside.share_note", { share: percent(anatomy.chosen / anatomy.experts, 1) })} />
          <${Stat} name=${t("inside.served")} value=${number(facts.count)} note=${t("inside.served_prompt", { count: facts.prompt })} />
          <${Stat} name=${t("inside.tier")} value=${t("inside.tier_" + facts.tier)} note=${bytes(anatomy.bytes_per_expert)} />
        <//></div>` : html`<p class="small muted">${t("inside.no_tokens")}</p>`}
      ${served.length > 0 && html`<ul class="served" aria-label=${t("inside.served")}>${served.map((one) => html`
        <li><button type="button" onClick=${() => choose({ token: look.tokens[one.index] })}><span class="token">${visible(one.text)}</span><span class="small muted number">${percent(one.weight)}</span></button></li>`)}</ul>`}
    <//>
  `;
}

// ---- what it took ----

function Took({ look, chosen }) {
  const token = chosen?.token;
  const parts = token ? Object.fromEntries(Object.entries(token.parts).map(([name, value]) => [name, value / token.step])) : look?.parts();
  const shown = PARTS.filter((name) => parts?.[name] > 0);
  const total = shown.reduce((sum, name) => sum + parts[name], 0);
  return html`
    <${Panel} title=${token ? t("inside.time_token") : t("inside.time")}>
      ${total ? html`
        <p class="big-number number">${seconds(total)}</p>
        <div class="stacked" aria-hidden="true">${shown.map((name) => html`<span class=${"part-" + name} style=${{ flexGrow: parts[name] / total }}></span>`)}</div>
        <dl class="legend">${shown.map((name) => html`<div><dt><i class=${"part-" + name}></i>${t("inside.part_" + name)}</dt><dd class="number">${seconds(parts[name])}</dd><dd class="number muted">${percent(parts[name] / total)}</dd></div>`)}</dl>
      ` : html`<p class="small muted">${t("inside.no_tokens")}</p>`}
    <//>
  `;
}

// The same model if every parameter worked on every token.
function Dense({ anatomy, look }) {
  const parts = look ? Object.values(look.parts()).reduce((sum, one) => sum + one, 0) : 0;
  const times = anatomy.parameters / anatomy.active;
  const rows = [
    { name: t("inside.this_model"), parameters: anatomy.active, read: anatomy.bytes_per_token, own: true },
    { name: t("inside.dense_model"), parameters: anatomy.parameters, read: anatomy.bytes, own: false },
  ];
  return html`
    <${Panel} title=${t("inside.dense")}>
      <dl class="versus">${rows.map((row) => html`
        <div class=${row.own ? "own" : ""}><dt>${row.name}</dt>
          <dd><div class="versus-bar" style=${{ width: (100 * row.read) / anatomy.bytes + "%" }}></div></dd>
          <dd class="small number">${t("inside.versus", { parameters: compact(row.parameters, 2), bytes: bytes(row.read) })}</dd></div>`)}</dl>
      <p class="small muted">${t("inside.dense_text", { times: number(times, times < 10 ? 1 : 0) })}${parts ? " " + t("inside.dense_speed", { speed: number((1 / parts) * (anatomy.bytes_per_token / anatomy.bytes), 1) }) : ""}</p>
    <//>
  `;
}
