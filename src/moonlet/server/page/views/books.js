// Books: who used how much, what it took in energy and money, who waits now, and what owning has come to so far.

import {
  api, Bar, Chart, compact, date, Empty, Field, Figures, html, locale, Notice, number, Page, Panel, percent, seconds, Select, Stat,
  Stats, t, Table, Tag, useEffect, useGet, useKept, useState,
} from "../ui.js";
import { amount, energy, exact, shortAmount, years } from "../figures.js";
import { Legend } from "../legend.js";
import { Line, Said } from "../said.js";

const AGAIN_MS = 2000; // who waits now is asked for so often, while somebody looks
const SPANS = [7, 30, 90, 365];

export function View({ about }) {
  const [days, setDays] = useKept("books.days", 30);
  const { data, error } = useGet(`books?days=${days}`);
  const span = html`<${Select} row label=${t("books.span")} value=${days} onChange=${(value) => setDays(Number(value))}
    options=${SPANS.map((count) => [count, t("books.days", { count })])} />`;
  return html`
    <${Page} name="books" wide title=${t("books.title")} lead=${data?.own ? t("books.own", { name: data.who }) : t("books.lead")} actions=${span}>
      ${error && html`<${Notice} tone=${error.status === 404 ? "" : "bad"} live>${error.status === 404 ? t("books.none") : error.message}<//>`}
      ${data && html`
        ${data.waiting_rows > 0 && html`<${Notice} tone="warn">${t("books.unwritten", { count: data.waiting_rows })}<//>`}
        <${Sums} data=${data} />
        <${Now} about=${about} />
        ${data.total && html`<${Daily} data=${data} />`}
        <${Owning} own=${data.own} />
        ${data.total && html`<${Groups} data=${data} />`}
        <${Quotas} data=${data} />`}
    <//>
  `;
}

const named = (name) => (name === "(no key)" ? t("books.no_key") : name);
const wh = (line) => (line.wh_measured === null && line.wh_modelled === null ? null : (line.wh_measured ?? 0) + (line.wh_modelled ?? 0));
const energyOf = (line) => (wh(line) === null ? t("books.unknown") : (line.wh_modelled ? "≈ " : "") + energy(wh(line)));
const usdOf = (line) => (line.usd === null ? t("books.unpriced") : amount(line.usd));

function Sums({ data }) {
  const { total } = data;
  if (!total) return html`<${Panel}><${Empty} title=${t("books.empty")}><p class="muted">${t("books.empty_text")}</p><//><//>`;
  const cached = total.prompt_tokens ? total.cached_tokens / total.prompt_tokens : 0;
  return html`
    <${Panel} title=${t("books.sums")}>
      <${Stats}>
        <${Stat} name=${t("books.requests")} value=${number(total.requests)} note=${total.error + total.lost ? t("books.failed", { count: total.error + total.lost }) : undefined} />
        <${Stat} name=${t("books.prompt")} value=${compact(total.prompt_tokens)} note=${t("books.cached", { share: percent(cached) })} />
        <${Stat} name=${t("books.output")} value=${compact(total.output_tokens)} note=${total.decode_s ? t("books.pace", { rate: exact(total.output_tokens / total.decode_s) }) : undefined} />
        <${Stat} name=${t("books.energy")} value=${energyOf(total)} note=${total.wh_modelled ? t("books.modelled") : wh(total) === null ? t("books.no_meter") : t("books.measured")} />
        <${Stat} name=${t("books.charged")} value=${usdOf(total)} note=${data.price ? t("books.price", { price: data.price }) : total.usd === null ? t("books.no_price") : undefined} />
      <//>
    <//>
  `;
}

// ---- by day ----

const COLOURS = ["--series-1", "--series-2", "--series-3", "--series-4", "--series-5", "--series-6"];

function Daily({ data }) {
  const [measure, setMeasure] = useState("tokens");
  const [by, setBy] = useState("kind");
  const series = measure === "tokens" && by === "kind" ? kinds(data) : groups(data, by === "models" ? "daily_models" : by === "keys" ? "daily_keys" : "daily", measure);
  const show = { tokens: (value) => compact(value), wh: (value) => energy(value), usd: (value) => amount(value) }[measure];
  const axis = measure === "usd" ? (value) => shortAmount(value) : show;
  const day = (i) => data.days[i] && new Intl.DateTimeFormat(locale(), { day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(data.days[i]));
  return html`
    <${Panel} title=${t("books.daily")} actions=${html`
      <div class="row books-choice">
        <${Select} label=${t("books.measure")} value=${measure} onChange=${setMeasure}
          options=${[["tokens", t("books.tokens")], ["wh", t("books.energy")], ["usd", t("books.money")]]} />
        <${Select} label=${t("books.by")} value=${by} onChange=${setBy}
          options=${[["kind", measure === "tokens" ? t("books.by_kind") : t("books.by_all")], ["keys", t("books.by_key")], ["models", t("books.by_model")]]} />
      </div>`}>
      <${Legend} series=${series} />
      <${Chart} key=${data.days.length} label=${t("books.daily_label")} x=${data.days.map((_, i) => i)} series=${stacked(series)} height=${240}
        xFormat=${(i) => (Number.isInteger(i) ? day(i) ?? "" : "")} yFormat=${axis} />
      <${Figures} of=${t("books.daily")} title=${t("books.figures")} columns=${[t("books.day"), ...series.map((one) => one.name)]}
        rows=${data.days.map((_, i) => [day(i), ...series.map((one) => show(one.values[i]))]).reverse()} />
    <//>
  `;
}

function kinds(data) {
  const by = new Map(data.daily.map((line) => [line.day, line]));
  const series = (name, colour, value) => ({ name, colour, bars: true, values: data.days.map((day) => (by.has(day) ? value(by.get(day)) : 0)) });
  return [
    series(t("books.written"), COLOURS[1], (line) => line.output_tokens),
    series(t("books.computed"), COLOURS[0], (line) => line.prompt_tokens - line.cached_tokens),
    series(t("books.reused"), COLOURS[5], (line) => line.cached_tokens),
  ];
}

function groups(data, field, measure) {
  if (field === "daily") {
    const by = new Map(data.daily.map((line) => [line.day, measure === "wh" ? wh(line) ?? 0 : line.usd ?? 0]));
    return [{ name: measure === "wh" ? t("books.energy") : t("books.money"), colour: COLOURS[0], bars: true, values: data.days.map((day) => by.get(day) ?? 0) }];
  }
  const names = [...new Set(data[field].map((one) => one.name))].sort((a, b) => (a === "") - (b === "") || (a < b ? -1 : 1));
  return names.map((name, i) => {
    const by = new Map(data[field].filter((one) => one.name === name).map((one) => [one.day, one[measure]]));
    return { name: name === "" ? t("books.others") : named(name), colour: name === "" ? COLOURS[5] : COLOURS[i % 5], bars: true, values: data.days.map((day) => by.get(day) ?? 0) };
  });
}

// Bars upon one another: each is drawn as high as it and all below it, the highest first.
function stacked(series) {
  const sums = series[0].values.map(() => 0);
  return series.map((one) => ({ ...one, values: one.values.map((value, i) => (sums[i] += value)) })).reverse();
}

// ---- by key and model ----

function Groups({ data }) {
  const columns = (first) => [first, t("books.requests"), t("books.prompt"), t("books.reused"), t("books.output"), t("books.energy"), t("books.money")];
  const rows = (lines) => lines.map((line) => [
    named(line.name), number(line.requests), number(line.prompt_tokens), line.prompt_tokens ? percent(line.cached_tokens / line.prompt_tokens) : "",
    number(line.output_tokens), energyOf(line), usdOf(line),
  ]);
  return html`
    ${!data.own && html`
      <${Panel} title=${t("books.keys")}><${Table} label=${`${t("books.keys")}: ${t("books.figures")}`} columns=${columns(t("books.key"))} rows=${rows(data.keys)} numeric=${[1, 2, 3, 4, 5, 6]} /><//>`}
    <${Panel} title=${t("books.models")}><${Table} label=${`${t("books.models")}: ${t("books.figures")}`} columns=${columns(t("books.model"))} rows=${rows(data.models)} numeric=${[1, 2, 3, 4, 5, 6]} /><//>
  `;
}

// ---- now ----

const STATES = { waiting: "books.waiting", reading: "books.reading", writing: "books.writing" };
const TONES = { waiting: "warn", writing: "accent" };

function Now({ about }) {
  const [now, set] = useState(null);
  useEffect(() => {
    let gone = false;
    let timer;
    async function look() {
      try {
        const found = document.hidden ? null : await api.get("books/now");
        if (!gone && found) set(found);
      } catch {
        // the shell tells that the server is away
      }
      if (!gone) timer = setTimeout(look, AGAIN_MS);
    }
    look();
    return () => ((gone = true), clearTimeout(timer));
  }, []);
  const who = (one) => (one.known ? one.key ?? t("books.no_key") : t("books.somebody"));
  return html`
    <${Panel} title=${t("books.now")}>
      ${now && !now.requests.length && html`<p class="muted">${t("books.idle", { model: about.model })}</p>`}
      ${now?.requests.length > 0 && html`
        <${Table} label=${`${t("books.now")}: ${t("books.figures")}`} columns=${[t("books.key"), t("books.state"), t("books.since"), t("books.tokens"), t("books.api")]} numeric=${[2, 3]}
          rows=${now.requests.map((one) => [
            who(one), html`<${Tag} tone=${TONES[one.state]}>${t(STATES[one.state])}${one.place ? ` · ${number(one.place)}` : ""}<//>`,
            seconds(one.seconds), one.tokens ? number(one.tokens) : "", one.api,
          ])} />`}
    <//>
  `;
}

// ---- quotas ----

const LIMITS = {
  tokens_per_minute: "books.limit_minute", tokens_per_day: "books.limit_day", tokens_per_month: "books.limit_month",
  concurrent: "books.limit_concurrent", usd_per_month: "books.limit_usd",
};

function Quotas({ data }) {
  if (!data.quotas.length) return null;
  const show = (name, value) => (name === "usd_per_month" ? amount(value) : compact(value));
  return html`
    <${Panel} title=${t("books.quotas")}>
      <div class="quotas">
        ${data.quotas.map((key) => html`
          <section class="stack quota" aria-label=${key.name}>
            <h3>${key.name} ${key.owner !== key.name && html`<span class="muted small">${key.owner}</span>`}</h3>
            ${!key.limits.length && html`<p class="small muted">${t("books.no_limits")}</p>`}
            ${key.limits.map((one) => {
              const share = one.used / one.limit;
              return html`
                <div>
                  <p class="small row spread"><span>${t(LIMITS[one.name])}</span><span class="number muted">${show(one.name, one.used)} / ${show(one.name, one.limit)}</span></p>
                  <${Bar} value=${share} label=${`${key.name}: ${t(LIMITS[one.name])}`} tone=${share >= 1 ? "bad" : share > 0.8 ? "warn" : ""} />
                </div>`;
            })}
            ${key.expires && html`<p class="small muted">${t("books.expires", { when: date(key.expires * 1000) })}</p>`}
          </section>`)}
      </div>
    <//>
  `;
}

// ---- owning ----

function Owning({ own }) {
  const { data: choices } = useGet("plan");
  const [kept, keep] = useKept("owning", { against: "", machine: "", price: "", watts: "" });
  const set = (change) => keep({ ...kept, ...change });
  if (!choices?.machines) return null;
  const against = kept.against || choices.usual.api;
  const asked = { against, machine: kept.machine || null, price: kept.price || null, watts: kept.watts || null };
  return html`
    <${Panel} title=${own ? t("books.own_cost") : t("books.owning")}>
      <div class="owning">
        <${Select} label=${t("books.against")} value=${against} onChange=${(value) => set({ against: value })}
          options=${[...choices.apis.map((one) => [one.name, one.name]), ...choices.seats.map((one) => [one.name, one.title])]} />
        <${Select} label=${t("books.machine")} value=${kept.machine} onChange=${(machine) => set({ machine })}
          options=${[["", t("books.another")], ...choices.machines.filter((one) => one.price !== null).map((one) => [one.name, `${one.name} · ${shortAmount(one.price, one.currency)}`])]} />
        <${Amount} label=${t("books.paid_price")} value=${kept.price} set=${(price) => set({ price })} />
        <${Amount} label=${t("books.watts")} value=${kept.watts} set=${(watts) => set({ watts })} />
      </div>
      ${asked.machine || asked.price ? html`<${SoFar} asked=${asked} />` : html`<p class="muted">${t("books.say_machine")}</p>`}
    <//>
  `;
}

const Amount = ({ label, value, set }) => html`
  <${Field} label=${label} control=${(id) => html`
    <input id=${id} type="number" inputmode="decimal" min="0" step="any" value=${value} onInput=${(event) => set(event.target.value)} />`} />
`;

function SoFar({ asked }) {
  const said = JSON.stringify(asked);
  const [state, set] = useState({});
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(() => {
      api.send("books/against", asked, "POST", abort.signal).then(
        (found) => set({ found }),
        (problem) => problem.name !== "AbortError" && set({ problem }),
      );
    }, 250);
    return () => (clearTimeout(timer), abort.abort());
  }, [said]);
  const { found, problem } = state;
  if (problem) return html`<${Notice} tone="warn" live>${problem.message}<//>`;
  if (!found) return html`<p class="muted" aria-busy="true">…</p>`;
  const money = (value) => amount(value, found.currency);
  return html`
    ${!found.own && html`
      <div class="payback">
        <p class="row spread"><b>${t("books.payback")}</b><span class="number">${found.paid_share === null ? "" : percent(found.paid_share, 1)}</span></p>
        <${Bar} value=${found.paid_share ?? 1} label=${t("books.payback")} tone=${found.paid_share >= 1 ? "good" : ""} />
        <${Line} sentences=${found.sentences} />
      </div>`}
    <${Stats}>
      <${Stat} name=${t("books.cash")} value=${money(found.cash)} note=${t("books.cash_note")} />
      <${Stat} name=${t("books.full")} value=${money(found.full)} note=${t("books.full_note")} />
      <${Stat} name=${t("books.elsewhere")} value=${money(found.elsewhere)} note=${found.against} />
      ${!found.own && html`
        <${Stat} name=${t("books.saved")} value=${money(found.saved)} tone=${Number(found.saved) > 0 ? "good" : "bad"} note=${t("books.saved_note")} />
        <${Stat} name=${t("books.busy")} value=${percent(found.utilisation, 1)} note=${t("books.busy_note")} />
        <${Stat} name=${t("books.paid_after")} value=${found.payback_years === null ? t("books.never") : years(found.payback_years)} note=${t("books.paid_note")} />`}
    <//>
    ${!found.own && html`<${Figures} of=${t("books.owning")} title=${t("books.by_part")}
      columns=${[t("books.key"), t("books.requests"), t("books.cash"), t("books.full"), t("books.elsewhere")]}
      rows=${found.parts.map((part) => [named(part.name), number(part.requests), money(part.cash), money(part.full), money(part.elsewhere)])} />`}
    <details class="figures"><summary>${t("books.assumptions")}</summary>
      <ul class="small muted notes">${found.notes.map((note) => html`<li><${Said} sentence=${note} /></li>`)}</ul>
    </details>
  `;
}
