// Plan: the planner with sliders. The server computes, with the same code as `moonlet plan`; here is drawn what it says.

import {
  api, bytes, Chart, compact, Field, Figures, html, Notice, number, Page, Panel, seconds, Select, Slider, Stat, Stats, t,
  Table, useEffect, useGet, useKept, useRef, useState,
} from "../ui.js";
import { amount, exact, shortAmount, years } from "../figures.js";
import { Legend } from "../legend.js";
import { Line, Said } from "../said.js";

const DEVELOPERS = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 65, 80, 100, 150, 200, 300, 500, 1000];
const TOKENS = [0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100, 200].map((millions) => millions * 1e6);
const PACE_MS = 50; // between two questions while a slider is dragged
const STUCK_MS = 400; // an answer that takes longer is given up for the newest position
const REST_MS = 700; // of a slider, until it is asked how sure the answer is
const PLACES = ["cards", "memory", "disk"];
const COLOURS = { experts: 1, attention: 2, "shared experts": 3, cache: 4, "dense layers": 5 };

export function View() {
  const { data: choices, error } = useGet("plan");
  return html`
    <${Page} name="plan" wide title=${t("plan.title")} lead=${t("plan.lead")}>
      ${error && html`<${Notice} tone="bad" live>${error.message}<//>`}
      ${choices && !choices.models && html`<${Notice}>${t("plan.none")}<//>`}
      ${choices?.models && html`<${Planner} choices=${choices} />`}
    <//>
  `;
}

function Planner({ choices }) {
  const [kept, keep] = useKept("plan", {});
  const wanted = settled({ ...choices.usual, ...kept }, choices);
  const { plan, problem, stale } = usePlan(wanted);
  const set = (change) => keep({ ...kept, ...change });
  return html`
    <div class="plan">
      <${Controls} choices=${choices} wanted=${wanted} set=${set} />
      <div class="plan-answer" aria-busy=${stale}>
        ${problem && html`<${Notice} tone="bad" live>${problem.message}<//>`}
        ${plan && html`<${Answer} plan=${plan} wanted=${wanted} />`}
      </div>
    </div>
  `;
}

// What was kept may name what is there no more.
function settled(wanted, { models, machines, apis, seats, usual }) {
  const known = (name, names) => (names.includes(wanted[name]) ? wanted[name] : usual[name]);
  const named = (list) => ["", ...list.map((one) => one.name)];
  const machine = known("machine", machines.map((one) => one.name));
  return {
    ...wanted,
    ...(priced(machines.find((one) => one.name === machine)) && { price: null, watts: null }), // typed for another one
    model: known("model", models),
    machine,
    api: known("api", named(apis)),
    seat: known("seat", named(seats)),
  };
}

const priced = (machine) => machine.price !== null && machine.watts_load > 0;

// One question at a time, always the newest; an answer to an older one is shown only while no newer one is there.
function usePlan(wanted) {
  const [state, set] = useState({ plan: null, problem: null, stale: true });
  const asked = JSON.stringify(wanted);
  const now = useRef();
  now.current ??= { wanted: asked, flight: null, timer: 0, began: 0 };
  now.current.wanted = asked;

  async function ask() {
    const line = now.current;
    const mine = line.wanted;
    const flight = (line.flight = new AbortController());
    line.began = performance.now();
    try {
      const plan = await api.send("plan", JSON.parse(mine), "POST", flight.signal);
      set({ plan, problem: null, stale: mine !== line.wanted });
    } catch (problem) {
      if (problem.name === "AbortError") return;
      set((before) => ({ ...before, problem, stale: false }));
    }
    line.flight = null;
    if (mine !== line.wanted) soon();
  }

  function soon() {
    const line = now.current;
    if (line.flight && performance.now() - line.began > STUCK_MS) {
      line.flight.abort();
      line.flight = null;
    }
    if (!line.flight && !line.timer) line.timer = setTimeout(() => ((line.timer = 0), ask()), PACE_MS);
  }

  useEffect(() => (set((before) => ({ ...before, stale: true })), soon()), [asked]);
  useEffect(() => () => (clearTimeout(now.current.timer), now.current.flight?.abort()), []);
  return state;
}

function Controls({ choices, wanted, set }) {
  const machine = choices.machines.find((one) => one.name === wanted.machine);
  const steps = (list, value) => Math.max(0, list.findLastIndex((one) => value >= one));
  const elsewhere = (list) => [["", t("plan.not_compared")], ...list];
  return html`
    <${Panel} class="plan-controls" title=${t("plan.asked")}>
      <${Select} label=${t("plan.model")} value=${wanted.model} options=${choices.models.map((name) => [name, name])} onChange=${(model) => set({ model })} />
      <${Select} label=${t("plan.machine")} hint=${html`<span lang="en">${machine.title}</span>`} value=${wanted.machine}
        options=${choices.machines.map((one) => [one.name, one.price === null ? one.name : `${one.name} · ${shortAmount(one.price, one.currency)}`])}
        onChange=${(name) => set({ machine: name })} />
      ${!priced(machine) && html`
        <${Amount} label=${t("plan.price", { currency: machine.currency })} value=${wanted.price} set=${(price) => set({ price })} />
        <${Amount} label=${t("plan.watts")} value=${wanted.watts} set=${(watts) => set({ watts })} />`}
      <${Slider} label=${t("plan.developers")} value=${steps(DEVELOPERS, wanted.developers)} min=${0} max=${DEVELOPERS.length - 1}
        show=${(i) => number(DEVELOPERS[i])} onInput=${(i) => set({ developers: DEVELOPERS[i] })} />
      <${Slider} label=${t("plan.tokens_per_day")} hint=${t("plan.tokens_hint")} value=${steps(TOKENS, wanted.tokens_per_day)} min=${0} max=${TOKENS.length - 1}
        show=${(i) => compact(TOKENS[i])} onInput=${(i) => set({ tokens_per_day: TOKENS[i] })} />
      <${Slider} label=${t("plan.tariff")} value=${Number(wanted.tariff)} min=${0} max=${0.8} step=${0.01}
        show=${(value) => amount(value, machine.currency)} onInput=${(value) => set({ tariff: String(value) })} />
      <${Select} label=${t("plan.against_tokens")} value=${wanted.api} onChange=${(api) => (api || wanted.seat) && set({ api })}
        options=${elsewhere(choices.apis.map((one) => [one.name, `${one.name} · ${exact(one.prompt)} / ${exact(one.output)}`]))} hint=${t("plan.token_prices")} />
      <${Select} label=${t("plan.against_seats")} value=${wanted.seat} onChange=${(seat) => (seat || wanted.api) && set({ seat })}
        options=${elsewhere(choices.seats.map((one) => [one.name, `${one.title} · ${amount(one.month)}`]))} hint=${t("plan.seat_prices")} />
    <//>
  `;
}

const Amount = ({ label, value, set }) => html`
  <${Field} label=${label} control=${(id) => html`
    <input id=${id} type="number" inputmode="decimal" min="0" step="any" value=${value ?? ""}
      onInput=${(event) => set(event.target.value === "" ? null : event.target.value)} />`} />
`;

function Answer({ plan, wanted }) {
  return html`
    <${Verdict} plan=${plan} wanted=${wanted} />
    ${plan.curves && html`
      <div class="plan-charts">
        <${Payback} plan=${plan} wanted=${wanted} />
        <${Costs} plan=${plan} wanted=${wanted} />
        <${PerMillion} plan=${plan} />
        <${Bytes} plan=${plan} />
      </div>`}
    ${!plan.curves && plan.fits && html`<${Bytes} plan=${plan} />`}
    ${plan.speed && html`<${Speed} plan=${plan} />`}
    <${Sure} wanted=${wanted} plan=${plan} />
    <${Panel} title=${t("plan.assumptions")}>
      <ul class="small muted plan-notes">${plan.notes.map((note) => html`<li><${Said} sentence=${note} /></li>`)}</ul>
    <//>
  `;
}

// Of the first line: what is shown by itself, and how.
const APART = new Map([["slow", "warn"], ["late", "warn"], ["instead_own", ""], ["instead_rent", ""]]);

function Verdict({ plan, wanted }) {
  const { said, money } = plan;
  const currency = money?.currency;
  const names = { model: plan.model.name, machine: plan.machine.name };
  const headline = {
    own: () => t("plan.own", { amount: amount(said.saved_a_year, currency) }),
    rent: () => t("plan.rent", { amount: amount(-said.saved_a_year, currency) }),
    "no fit": () => t("plan.no_fit", names),
    "no price": () => t("plan.no_price", names),
  }[said.kind]();
  const { pace } = said;
  return html`
    <section class=${"panel verdict " + (said.kind === "own" ? "owning" : "")} aria-label=${t("plan.verdict")}>
      <p class="verdict-line" role="status">${headline}</p>
      <${Line} sentences=${plan.sentences.filter((one) => !APART.has(one.key))} />
      ${plan.sentences.filter((one) => APART.has(one.key)).map((one) => html`<${Notice} tone=${APART.get(one.key)}><${Said} sentence=${one} /><//>`)}
      <${Stats}>
        ${money && html`
          <${Stat} name=${t("plan.payback")} value=${said.payback_years === null ? t("plan.never") : years(said.payback_years)} note=${t("plan.payback_note")} />
          <${Stat} name=${t("plan.cash")} value=${amount(money.cash_a_year, currency)} note=${t("plan.a_year")} />
          <${Stat} name=${t("plan.full")} value=${amount(money.full_a_year, currency)} note=${t("plan.a_year")} />
          ${Object.entries(money.elsewhere_a_year).map(([name, value]) => html`<${Stat} name=${name} value=${amount(value, currency)} note=${t("plan.a_year")} />`)}
          <${Stat} name=${t("plan.machines")} value=${number(money.machines)} note=${amount(money.price, currency)} />`}
        ${pace && html`<${Stat} name=${t("plan.pace")} value=${exact(pace.value, 2)} note=${t("plan.range", { low: exact(pace.low, 2), high: exact(pace.high, 2) })} />`}
        ${plan.fits && html`<${Stat} name=${t("plan.context")} value=${compact(plan.largest_context)} note=${t("plan.tokens")} />`}
      <//>
      ${money && html`<${BreakEven} found=${money.break_even} currency=${currency} />`}
    </section>
  `;
}

const BreakEven = ({ found, currency }) => html`
  <p class="small">
    ${t("plan.break_even")}${" "}
    ${[
      found.developers ? t("plan.from_developers", { count: found.developers }) : t("plan.no_developers"),
      found.tokens_per_day ? t("plan.from_tokens", { tokens: compact(found.tokens_per_day) }) : t("plan.no_tokens"),
      found.price ? t("plan.below_price", { price: amount(found.price, currency) }) : t("plan.no_gift"),
    ].join(t("plan.comma"))}
  </p>
`;

function Payback({ plan, wanted }) {
  const { curves } = plan;
  const series = [{ name: t("plan.years"), values: curves.payback_years, colour: "--series-1", fill: true }];
  const known = curves.payback_years.some((value) => value !== null);
  return html`
    <${Panel} title=${t("plan.payback_chart")}>
      ${known
        ? html`<${Chart} label=${t("plan.payback_label")} x=${curves.developers} series=${series} xLabel=${t("plan.developers")}
            yFormat=${(value) => exact(value)} mark=${{ x: wanted.developers, label: number(wanted.developers) }} />`
        : html`<p class="muted">${t("plan.never_paid")}</p>`}
      <${Figures} of=${t("plan.payback_chart")} title=${t("plan.figures")} columns=${[t("plan.developers"), t("plan.machines"), t("plan.years")]}
        rows=${curves.developers.map((count, i) => [number(count), number(curves.machines[i]), known && curves.payback_years[i] !== null ? exact(curves.payback_years[i]) : t("plan.never")])} />
    <//>
  `;
}

function Costs({ plan, wanted }) {
  const { curves, money } = plan;
  const series = [
    { name: t("plan.cash"), values: curves.cash, colour: "--series-3" },
    { name: t("plan.full"), values: curves.full, colour: "--series-1" },
    ...Object.entries(curves.elsewhere).map(([name, values], i) => ({ name, values, colour: i ? "--series-4" : "--series-2", dash: [6, 4] })),
  ];
  return html`
    <${Panel} title=${t("plan.cost_chart")}>
      <${Legend} series=${series} />
      <${Chart} label=${t("plan.cost_label")} x=${curves.developers} series=${series} xLabel=${t("plan.developers")}
        yFormat=${(value) => shortAmount(value, money.currency)} mark=${{ x: wanted.developers, label: number(wanted.developers) }} />
      <${Figures} of=${t("plan.cost_chart")} title=${t("plan.figures")} columns=${[t("plan.developers"), ...series.map((one) => one.name)]}
        rows=${curves.developers.map((count, i) => [number(count), ...series.map((one) => amount(one.values[i], money.currency))])} />
    <//>
  `;
}

function PerMillion({ plan }) {
  const { curves, money } = plan;
  const series = [{ name: t("plan.own_output"), values: curves.per_million, colour: "--series-1" }];
  const price = curves.per_million_elsewhere;
  const way = Object.keys(curves.elsewhere)[0];
  if (price !== null) series.push({ name: way, values: curves.replies.map(() => price), colour: "--series-2", dash: [6, 4] });
  return html`
    <${Panel} title=${t("plan.million_chart")}>
      <${Legend} series=${series} />
      <${Chart} label=${t("plan.million_label")} x=${curves.replies} series=${series} xLabel=${t("plan.replies")}
        yFormat=${(value) => shortAmount(value, money.currency)} />
      <${Figures} of=${t("plan.million_chart")} title=${t("plan.figures")} columns=${[t("plan.replies"), ...series.map((one) => one.name)]}
        rows=${curves.replies.map((count, i) => [number(count), ...series.map((one) => amount(one.values[i], money.currency))])} />
    <//>
  `;
}

// Where the bytes live: a bar for each place, as long as the place is large.
function Bytes({ plan }) {
  const parts = [...new Set(plan.homes.map((home) => home.part))];
  const colour = (part) => `--series-${COLOURS[part] ?? 6}`;
  const places = PLACES.map((place) => {
    const here = plan.homes.filter((home) => home.place === place);
    const used = here.reduce((sum, home) => sum + home.bytes, 0);
    return { place, here, used, room: used + (plan.free[place] ?? 0) };
  }).filter((one) => one.used || (one.room && one.place !== "disk"));
  const legend = ["experts", "attention", "shared experts", "cache", "dense layers"].filter((part) => parts.includes(part));
  const series = legend.map((part) => ({ name: named("part", part), colour: colour(part), block: true }));
  if (parts.some((part) => !(part in COLOURS))) series.push({ name: t("plan.rest"), colour: "--series-6", block: true });
  return html`
    <${Panel} title=${t("plan.bytes_chart")}>
      <${Legend} series=${series} />
      ${places.map((one) => html`
        <div class="bytes">
          <p class="small"><b>${named("place", one.place)}</b> <span class="muted number">${t("plan.used_of", { used: bytes(one.used), room: bytes(one.room) })}</span></p>
          <div class="bytes-bar" aria-hidden="true">
            ${one.here.map((home) => html`<span style=${{ width: (home.bytes / one.room) * 100 + "%", background: `var(${colour(home.part)})` }} title=${`${named("part", home.part)}: ${bytes(home.bytes)}`}></span>`)}
          </div>
        </div>`)}
      <${Figures} of=${t("plan.bytes_chart")} title=${t("plan.figures")} columns=${[t("plan.part"), ...places.map((one) => named("place", one.place))]}
        rows=${parts.map((part) => [named("part", part), ...places.map((one) => {
          const found = one.here.find((home) => home.part === part);
          return found ? bytes(found.bytes) : "";
        })])} />
    <//>
  `;
}

// Words for what the planner names; what it names anew is shown as it is.
const WORDS = {
  place: { cards: "plan.place_cards", memory: "plan.place_memory", disk: "plan.place_disk" },
  part: {
    attention: "plan.part_attention", "dense layers": "plan.part_dense", router: "plan.part_router", "shared experts": "plan.part_shared",
    experts: "plan.part_experts", head: "plan.part_head", embedding: "plan.part_embedding", cache: "plan.part_cache", buffers: "plan.part_buffers",
  },
  input: {
    price: "plan.input_price", tariff: "plan.input_tariff", residual: "plan.input_residual", interest: "plan.input_interest",
    admin_hours: "plan.input_admin_hours", years: "plan.input_years", "rented price": "plan.input_rented", tokens: "plan.input_tokens",
  },
};
const named = (kind, name) => (WORDS[kind][name] ? t(WORDS[kind][name]) : name);

function Speed({ plan }) {
  const { decode, prefill } = plan.speed;
  const range = (one) => `${exact(one.tokens_s)} (${exact(one.low)} – ${exact(one.high)})`;
  return html`
    <div class="grid">
      <${Panel} title=${t("plan.writing")}>
        <${Table} label=${`${t("plan.writing")}: ${t("plan.figures")}`} columns=${[t("plan.replies"), t("plan.together"), t("plan.each")]} numeric=${[1, 2]}
          rows=${decode.map((one) => [number(one.sequences), range(one), exact(one.tokens_s / one.sequences)])} />
      <//>
      <${Panel} title=${t("plan.reading")}>
        <${Table} label=${`${t("plan.reading")}: ${t("plan.figures")}`} columns=${[t("plan.prompt"), t("plan.tokens_s"), t("plan.first_token")]} numeric=${[1, 2]}
          rows=${prefill.map((one) => [number(one.tokens), exact(one.tokens_s), seconds(one.first_token_s)])} />
      <//>
    </div>
  `;
}

// How sure: a thousand draws, asked for once the sliders rest.
function Sure({ wanted, plan }) {
  const asked = JSON.stringify(wanted);
  const [found, set] = useState(null);
  useEffect(() => {
    if (!plan.money) return;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      try {
        set({ asked, money: (await api.send("plan/sure", wanted, "POST", abort.signal)).money });
      } catch (problem) {
        if (problem.name !== "AbortError") set(null);
      }
    }, REST_MS);
    return () => (clearTimeout(timer), abort.abort());
  }, [asked, !plan.money]);
  if (!plan.money || found?.asked !== asked || !found.money?.saved_a_year) return null;
  const { saved_a_year: band, sensitivity, currency } = found.money;
  return html`
    <${Panel} title=${t("plan.sure")}>
      <p>${t("plan.band", { low: amount(band.low, currency), high: amount(band.high, currency), share: number(band.share_positive * 100) })}</p>
      <${Table} label=${`${t("plan.sure")}: ${t("plan.figures")}`} columns=${[t("plan.hangs_on"), t("plan.at_low"), t("plan.at_high")]} numeric=${[1, 2]}
        rows=${sensitivity.map((one) => [named("input", one.name), amount(one.low, currency), amount(one.high, currency)])} />
    <//>
  `;
}
