// The shell: what every view stands in, and the door where a key is needed.

import {
  api, Button, Dialog, Empty, Field, html, Icon, key, link, Notice, pause, render, router, same, store, t, useEffect, useState,
} from "./ui.js";
import * as i18n from "./i18n.js";
import { onDevice } from "./keeping.js";
import { choice, next as nextTheme, theme } from "./theme.js";

const VIEWS = ["talk", "inside", "act", "articles", "books", "plan"];
const about = store(null); // what the server said of itself
const failure = store(null); // why it did not
const language = store(null);
const loaded = new Map(); // views by name

async function learn() {
  try {
    about.set(await api.get("about"));
    failure.set(null);
    link.set({ state: "here", why: "" });
    return true;
  } catch (problem) {
    if (problem.status !== 401) failure.set(problem);
    if (problem.status && problem.passing) setTimeout(learn, Math.max(problem.wait, 2000)); // one that is away: below
    return false;
  }
}

async function speak(wanted, keep) {
  try {
    await i18n.load(wanted);
  } catch {
    await pause(1000); // the server is away: without words there is no page
    return speak(wanted, keep);
  }
  if (keep) onDevice.setItem("moonlet.language", wanted);
  language.set(wanted);
}

function App() {
  const said = about.use();
  const spoken = language.use();
  const [name = "talk", ...path] = router.use();
  const state = link.use();
  const view = VIEWS.includes(name) ? name : "talk";

  useEffect(() => {
    if (spoken) document.title = `${t(`shell.${view}`)} · moonlet`;
  }, [view, spoken]);
  useEffect(() => {
    if (state.state === "here" && (!about.get() || failure.get())) learn();
  }, [state]);

  return html`
    <a class="skip" href="#main" onClick=${(event) => (event.preventDefault(), document.querySelector("main").focus())}>${t("shell.skip")}</a>
    <header class="rail">
      <a class="brand" href="#/talk"><${Mark} /><span>moonlet</span></a>
      <nav aria-label=${t("shell.views")}>
        ${VIEWS.filter((one) => one !== "articles" || said?.articles).map((one) => html`
          <a href=${"#/" + one} aria-current=${one === view ? "page" : undefined}><${Icon} name=${one} /><span>${t("shell." + one)}</span></a>`)}
      </nav>
      <${Corner} said=${said} />
    </header>
    <main id="main" tabindex="-1">
      ${state.state === "away" && html`<div class="banner" role="status"><span class="pulse"></span>${t("shell.away")}</div>`}
      ${state.state === "closed" ? html`<${Door} why=${state.why} />` : html`<${Inner} key=${view} view=${view} path=${path} said=${said} />`}
    </main>
  `;
}
let moved = false;

const Mark = () => html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><path d="M20.500 4.700a12 12 0 1 0 5.700 18.200A10 10 0 0 1 20.500 4.700z" /><circle cx="25.500" cy="9.500" r="2" /></svg>`;

function Inner({ view, path, said }) {
  const [module, set] = useState(loaded.get(view));
  const [broken, tell] = useState(null); // why there is no module, though the server is there
  const problem = failure.use() ?? broken;
  const there = !!module && !!said;
  useEffect(() => {
    if (!module && !problem) import(`./views/${view}.js`).then((found) => (loaded.set(view, found), set(found)), async (why) => (await learn()) && tell(why));
  }, [view, !problem]);
  // Another view is read from its beginning: its heading gets the focus, as a new page would.
  useEffect(() => {
    if (!there) return;
    if (moved) {
      scrollTo(0, 0);
      document.querySelector("main h1")?.focus({ preventScroll: true });
    }
    moved = true;
  }, [there]);
  if (there) return html`<${module.View} about=${said} path=${path} />`;
  if (problem) return html`<div class="page"><${Notice} tone="bad" live>${problem.message}<//></div>`;
  return html`<div class="page" aria-busy="true"></div>`;
}

// Language, light, key: small, at the foot of the rail.
function Corner({ said }) {
  const wanted = choice.use();
  const [asking, ask] = useState(false);
  const icon = { system: "system", light: "sun", dark: "moon" }[wanted];
  theme.use();
  return html`
    <div class="corner">
      <label class="sr" for="language">${t("shell.language")}</label>
      <select id="language" value=${language.get()} onChange=${(event) => speak(event.target.value, true)}>
        ${Object.entries(i18n.LANGUAGES).map(([code, text]) => html`<option value=${code} lang=${code} selected=${code === language.get()}>${text}</option>`)}
      </select>
      <${Button} kind="quiet" icon=${icon} label=${t("shell.theme_" + wanted)} onClick=${nextTheme} />
      ${(said?.keys || key.get()) && html`<${Button} kind="quiet" icon="key" label=${t("shell.key")} onClick=${() => ask(true)} />`}
      ${asking && html`<${Dialog} title=${t("shell.key")} onClose=${() => ask(false)}><${KeyForm} done=${() => ask(false)} /><//>`}
    </div>
  `;
}

// What is seen without a key.
const Door = ({ why }) => html`
  <div class="page door">
    <${Empty} title=${t("shell.door_title")}>
      <p class="muted">${t("shell.door_text")}</p>
      <${KeyForm} />
      ${why && key.get() && html`<${Notice} tone="bad" live>${why}<//>`}
    <//>
  </div>
`;

function KeyForm({ done = () => {} }) {
  const [secret, set] = useState("");
  const [stay, setStay] = useState(false);
  async function enter(event) {
    event.preventDefault();
    key.set(secret.trim(), stay);
    if (!same()) return location.reload();
    about.set(null);
    if (await learn()) done();
  }
  return html`
    <form class="stack" onSubmit=${enter}>
      <${Field} label=${t("shell.key_label")} control=${(id) => html`
        <input id=${id} type="password" autocomplete="off" spellcheck=${false} value=${secret} onInput=${(event) => set(event.target.value)} />`} />
      <label class="tick"><input type="checkbox" checked=${stay} onChange=${(event) => setStay(event.target.checked)} /> ${t("shell.key_stay")}</label>
      <div class="row">
        <button class="button primary">${t("shell.key_enter")}</button>
        ${key.get() && html`<${Button} onClick=${() => (key.set(""), location.reload())}>${t("shell.key_forget")}<//>`}
      </div>
    </form>
  `;
}

await Promise.all([speak(i18n.preferred()), learn()]);
const place = document.getElementById("app");
place.replaceChildren(); // what was there while nothing else was
render(html`<${App} />`, place);
