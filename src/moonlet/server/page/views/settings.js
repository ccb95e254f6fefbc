// How answers are wanted: model, thinking, sampling, tools and servers, who is asked, where conversations are kept.

import { onDevice } from "../keeping.js";
import { Button, Field, html, Icon, Select, Slider, store, t, Tag, useGet } from "../ui.js";

const INITIAL = { thinking: true, temperature: null, top_p: null, max_tokens: null, seed: null, system: "", tools: null, approve: "ask", look: true, place: "browser" };

export const settings = store({ ...INITIAL, ...read() });

function read() {
  try {
    return JSON.parse(onDevice.getItem("moonlet.settings")) ?? {};
  } catch {
    return {};
  }
}

function change(part) {
  settings.set((before) => ({ ...before, ...part }));
  onDevice.setItem("moonlet.settings", JSON.stringify(settings.get()));
}

export function Settings({ about, onPlace }) {
  const now = settings.use();
  return html`
    <div class="stack settings">
      <${Select} label=${t("talk.model")} value=${about.model} options=${[[about.model, about.model]]} onChange=${() => {}} hint=${t("talk.model_hint")} />
      <label class="tick"><input type="checkbox" checked=${now.thinking} onChange=${(event) => change({ thinking: event.target.checked })} />${t("talk.set_thinking")}</label>
      ${about.anatomy && html`<label class="tick"><input type="checkbox" checked=${now.look} onChange=${(event) => change({ look: event.target.checked })} />${t("talk.set_look")}</label>`}
      <${Tools} now=${now} />
      <${Select} label=${t("talk.approvals")} value=${now.approve} options=${["ask", "yes", "read-only"].map((one) => [one, t("talk.approvals_" + one)])} onChange=${(approve) => change({ approve })} />
      <fieldset class="stack">
        <legend>${t("talk.sampling")}</legend>
        <${Optional} label=${t("talk.temperature")} value=${now.temperature} initial=${0.6} min=${0} max=${2} step=${0.05} onChange=${(temperature) => change({ temperature })} />
        <${Optional} label=${t("talk.top_p")} value=${now.top_p} initial=${0.95} min=${0.05} max=${1} step=${0.05} onChange=${(top_p) => change({ top_p })} />
        <${Whole} label=${t("talk.max_tokens")} value=${now.max_tokens} min=${1} onChange=${(max_tokens) => change({ max_tokens })} />
        <${Whole} label=${t("talk.seed")} value=${now.seed} min=${0} onChange=${(seed) => change({ seed })} />
      </fieldset>
      <${Field} label=${t("talk.system")} hint=${t("talk.system_hint")} control=${(id, hint) => html`<textarea id=${id} aria-describedby=${hint} rows="3" value=${now.system} onChange=${(event) => change({ system: event.target.value })}></textarea>`} />
      ${about.key && html`<${Select} label=${t("talk.place")} value=${now.place} options=${["browser", "server"].map((one) => [one, t("talk.place_" + one)])} onChange=${(place) => (change({ place }), onPlace())} />`}
      <div><${Button} kind="quiet" icon="again" onClick=${() => change({ ...INITIAL, place: now.place })}>${t("talk.reset")}<//></div>
    </div>
  `;
}

// A slider that leaves the choice to the model until it is switched on.
function Optional({ label, value, initial, onChange, ...rest }) {
  const on = value !== null;
  return html`
    <div class="optional">
      <label class="tick"><input type="checkbox" checked=${on} onChange=${(event) => onChange(event.target.checked ? initial : null)} />${on ? label : t("talk.as_advised", { label })}</label>
      ${on && html`<${Slider} label=${html`<span class="sr">${label}</span>`} value=${value} onInput=${onChange} show=${String} ...${rest} />`}
    </div>
  `;
}

const Whole = ({ label, value, min, onChange }) => html`
  <${Field} row label=${label} control=${(id) => html`<input id=${id} type="number" inputmode="numeric" min=${min} step="1" placeholder=${t("talk.unset")} value=${value ?? ""}
    onChange=${(event) => onChange(event.target.value === "" ? null : Math.max(min, Math.round(Number(event.target.value))))} />`} />
`;

function Tools({ now }) {
  const { data: groups, error } = useGet("tools");
  if (error) return html`<p class="small bad">${error.message}</p>`;
  if (!groups) return html`<p class="small muted">…</p>`;
  const chosen = new Set(now.tools ?? groups.filter((one) => one.chosen).flatMap((one) => one.tools.map((tool) => tool.name)));
  const set = (names, on) => {
    for (const name of names) on ? chosen.add(name) : chosen.delete(name);
    change({ tools: [...chosen] });
  };
  return html`
    <fieldset class="stack">
      <legend>${t("talk.tools")}</legend>
      ${groups.map((group) => {
        const names = group.tools.map((tool) => tool.name);
        const on = names.filter((name) => chosen.has(name)).length;
        const title = group.id.startsWith("mcp:") ? t("talk.tools_mcp", { name: group.id.slice(4) }) : t("talk.tools_" + group.id);
        return html`
          <div class="tool-group">
            <label class="tick"><input type="checkbox" checked=${names.length > 0 && on === names.length} ref=${(box) => box && (box.indeterminate = on > 0 && on < names.length)}
              onChange=${(event) => set(names, event.target.checked)} /><span>${title}</span></label>
            <details>
              <summary><span class="sr">${title}</span><span class="small muted number">${on}/${names.length}</span><${Icon} name="down" /></summary>
              ${group.tools.map((tool) => html`
                <label class="tick"><input type="checkbox" checked=${chosen.has(tool.name)} onChange=${(event) => set([tool.name], event.target.checked)} />
                  <span><span class="mono">${tool.name}</span> ${(tool.changes || tool.sends) && html`<${Tag} tone="warn">${t(tool.changes ? "talk.tool_changes" : "talk.tool_sends")}<//>`}
                  <span class="small muted tool-about">${tool.about}</span></span></label>`)}
            </details>
          </div>`;
      })}
    </fieldset>
  `;
}
