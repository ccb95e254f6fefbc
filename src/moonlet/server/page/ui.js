// What views are made of. A view is a file views/<name>.js that exports
//
//   View({ about, path })   a component. `about` is what api/about told (model, anatomy, price, key, articles); `path` is the
//                           rest of the address after #/<name>/ as a list of words.
//
// and finds here:
//
//   html, useState, useEffect, useRef, useMemo   Preact with htm: html`<p class="x">${value}</p>`; values are text, never
//                                                HTML. No style="..." attribute: the page's policy forbids it; style=${{}} is fine.
//   t("books.<key>", {count: 3})                 words from i18n/<language>/books.json (en, th, zh: the same keys in each;
//                                                a test compares them and finds unused and missing ones)
//   number, percent, compact, money, bytes, seconds, date, time    by locale
//   api.get, api.send, upload, listen, Problem   the server (api.js)
//   Chart, Figures                               a chart, and the table of its numbers for who cannot see it
//   Page, Panel, Stat, Notice, Empty, Button, Field, Select, Slider, Dialog, Icon, Bar, Tag
//   store                                        state shared between components (store.js)
//   router.go("inside"), router.use()            addresses: #/talk, #/inside, #/act, #/books, #/plan, #/articles
//
// Colours are variables of styles.css: --ground, --surface, --sunk, --line (backgrounds and borders), --ink, --muted
// (text), --accent, --accent-ink, --gold, --good, --warn, --bad (each readable on --ground and --surface), --series-1..6
// (lines and bars of charts), --night, --night-ink, --night-muted (the sky of the expert map). Sizes: --gap-1..6, --radius. Classes: .row, .stack, .grid,
// .muted, .small, .number (tabular figures), .scroll (a wide table's frame), .sr (only for screen readers).

import { html, render, useEffect, useMemo, useRef, useState } from "./vendor/preact.js";
import { bytes, compact, current, date, locale, money, number, percent, seconds, t, time } from "./i18n.js";
import { api, key, link, listen, pause, Problem, same, upload } from "./api.js";
import { Chart, colour } from "./chart.js";
import { onDevice } from "./keeping.js";
import { store } from "./store.js";
import { Icon } from "./icons.js";

export { html, render, useEffect, useMemo, useRef, useState };
export { bytes, compact, current, date, locale, money, number, percent, seconds, t, time };
export { api, key, link, listen, pause, Problem, same, upload, Chart, colour, store, Icon };

// ---- addresses ----

function decoded(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word; // a stray %
  }
}
const read = () => location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decoded);
const address = (path) => "#/" + path.map(encodeURIComponent).join("/");
const at = store(read());
addEventListener("hashchange", () => at.set(read()));
export const router = {
  use: () => at.use(),
  get: () => at.get(),
  go: (...path) => (location.hash = address(path)),
  // Instead of the present one: who goes back comes to the one before.
  replace: (...path) => (history.replaceState(null, "", address(path)), at.set(read())),
};

// ---- pieces ----

let ids = 0;
export const useId = () => useState(() => "id" + ++ids)[0];

// The frame of a view. `actions` stand beside the title; `wide` lets it use the whole width.
export const Page = ({ title, lead, actions, children, wide, name }) => html`
  <div class=${"page" + (wide ? " wide" : "")} data-view=${name}>
    <header class="page-head">
      <div>
        <h1 tabindex="-1">${title}</h1>
        ${lead && html`<p class="lead">${lead}</p>`}
      </div>
      ${actions && html`<div class="row">${actions}</div>`}
    </header>
    ${children}
  </div>
`;

export const Panel = ({ title, actions, children, class: more = "" }) => html`
  <section class=${"panel " + more} aria-label=${title}>
    ${title && html`<header class="panel-head"><h2>${title}</h2>${actions}</header>`}
    ${children}
  </section>
`;

// One figure with its name; `note` says where it is from.
export const Stat = ({ name, value, note, tone }) => html`
  <div class="stat">
    <dt>${name}</dt>
    <dd class=${"number" + (tone ? " " + tone : "")}>${value}</dd>
    ${note && html`<dd class="small muted">${note}</dd>`}
  </div>
`;
export const Stats = ({ children }) => html`<dl class="stats">${children}</dl>`;

// tone: good, warn, bad, or none. `live` reads it out when it appears.
export const Notice = ({ tone = "", live, children }) => html`
  <div class=${"notice " + tone} role=${live ? (tone === "bad" ? "alert" : "status") : undefined}>${children}</div>
`;

export const Empty = ({ title, children }) => html`<div class="empty"><p class="empty-title">${title}</p>${children}</div>`;

// kind: primary, quiet, danger, or none. With `icon` alone it needs a `label`.
export const Button = ({ kind = "", icon, label, children, ...rest }) => html`
  <button type="button" class=${"button " + kind + (children ? "" : " bare-icon")} aria-label=${label} title=${label} ...${rest}>
    ${icon && html`<${Icon} name=${icon} />`}${children && html`<span>${children}</span>`}
  </button>
`;

// A labelled control; `control` is given the id: control=${(id) => html`<input id=${id} />`}
export const Field = ({ label, hint, control, row }) => {
  const id = useId();
  return html`
    <div class=${"field" + (row ? " field-row" : "")}>
      <label for=${id}>${label}</label>
      ${control(id, hint ? id + "-hint" : undefined)}
      ${hint && html`<p class="small muted" id=${id + "-hint"}>${hint}</p>`}
    </div>
  `;
};

// options: [[value, text], ...]
export const Select = ({ label, hint, value, options, onChange, row }) => html`
  <${Field} label=${label} hint=${hint} row=${row} control=${(id, hintId) => html`
    <select id=${id} aria-describedby=${hintId} value=${value} onChange=${(event) => onChange(event.target.value)}>
      ${options.map(([name, text]) => html`<option value=${name} selected=${String(name) === String(value)}>${text}</option>`)}
    </select>`} />
`;

// `show(value)` is the text beside it, which is also read out. onInput hears every move.
export const Slider = ({ label, hint, value, min, max, step = 1, show = String, onInput }) => html`
  <${Field} hint=${hint} label=${html`<span>${label}</span> <output class="number">${show(value)}</output>`} control=${(id, hintId) => html`
    <input type="range" id=${id} min=${min} max=${max} step=${step} value=${value} aria-valuetext=${show(value)}
      aria-describedby=${hintId} onInput=${(event) => onInput(Number(event.target.value))} />`} />
`;

export const Tag = ({ tone = "", children }) => html`<span class=${"tag " + tone}>${children}</span>`;

// A part of a whole, 0 to 1, with words for who cannot see it.
export const Bar = ({ value, label, tone = "" }) => {
  const share = Math.max(0, Math.min(1, value));
  return html`<div class=${"bar " + tone} role="meter" aria-label=${label} aria-valuenow=${Math.round(share * 100)}
    aria-valuemin="0" aria-valuemax="100"><span style=${{ width: share * 100 + "%" }}></span></div>`;
};

// The numbers of a chart as a table, folded. columns: [title, ...]; rows: [[cell, ...], ...]; `of`: what they are of.
export const Figures = ({ title, of, columns, rows }) => html`
  <details class="figures">
    <summary>${title}</summary>
    <${Table} label=${of ? `${of}: ${title}` : title} columns=${columns} rows=${rows} />
  </details>
`;

// The first column names the row. A cell is text or html; numbers are set right when `numeric` says so (list of columns).
export const Table = ({ label, columns, rows, numeric = [] }) => html`
  <div class="scroll" role="region" aria-label=${label} tabindex="0">
    <table>
      <thead><tr>${columns.map((one, i) => html`<th scope="col" class=${numeric.includes(i) ? "number" : ""}>${one}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr>${row.map((cell, i) =>
        i ? html`<td class=${numeric.includes(i) ? "number" : ""}>${cell}</td>` : html`<th scope="row">${cell}</th>`)}</tr>`)}</tbody>
    </table>
  </div>
`;

// Open while it is drawn; Escape and a click beside it call onClose.
export const Dialog = ({ title, onClose, children, side }) => {
  const place = useRef();
  useEffect(() => {
    const dialog = place.current;
    dialog.showModal();
    return () => dialog.close(); // the focus goes back to where it was
  }, []);
  const pressed = useRef(); // a press that begins inside and ends beside it selects text
  const beside = (event) => event.target === place.current && pressed.current === place.current && onClose();
  return html`
    <dialog ref=${place} class=${side ? "side" : ""} aria-label=${title} onCancel=${(event) => (event.preventDefault(), onClose())} onPointerDown=${(event) => (pressed.current = event.target)} onClick=${beside}>
      <div class="dialog-body">
        <header class="panel-head">
          <h2>${title}</h2>
          <${Button} kind="quiet" icon="close" label=${t("shell.close")} onClick=${onClose} />
        </header>
        ${children}
      </div>
    </dialog>
  `;
};

// A value that is kept in this browser.
export function useKept(name, initial) {
  const [value, set] = useState(() => {
    try {
      return JSON.parse(onDevice.getItem("moonlet." + name)) ?? initial;
    } catch {
      return initial;
    }
  });
  return [value, (next) => (set(next), onDevice.setItem("moonlet." + name, JSON.stringify(next)))];
}

// What a GET answers: {data, error, loading, again}. Asked anew when `path` changes, and of a server that is away or busy a
// little later; null asks nothing.
const LATER_MS = 3000;
export function useGet(path) {
  const [state, set] = useState({ loading: !!path });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (!path) return;
    const abort = new AbortController();
    let timer;
    set((before) => ({ ...before, loading: true }));
    api.get(path, abort.signal).then(
      (data) => set({ data, loading: false }),
      (error) => {
        if (error.name === "AbortError") return;
        set((before) => ({ ...before, error, loading: false }));
        if (error.passing) timer = setTimeout(() => setTurn((count) => count + 1), Math.max(error.wait, LATER_MS));
      },
    );
    return () => (clearTimeout(timer), abort.abort());
  }, [path, turn]);
  return { ...state, again: () => setTurn((count) => count + 1) };
}
