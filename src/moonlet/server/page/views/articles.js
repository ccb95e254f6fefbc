// Articles: recordings go in, sent or by their address; articles come out, stage by stage. Only where the server makes them.

import {
  api, Bar, Button, date, Empty, Field, html, Icon, listen, locale, Notice, Page, Panel, pause, percent, Problem,
  Select, store, t, Tag, upload, useEffect, useRef, useState,
} from "../ui.js";
import { unit } from "../figures.js";

const STAGES = ["download", "media", "transcript", "glossary", "outline", "write", "check", "render"];
const KINDS = ["md", "docx", "json", "srt", "vtt"]; // beside the page, which is opened
const OVER = ["done", "failed", "cancelled"];
const SPOKEN = ["ar", "de", "en", "es", "fr", "hi", "id", "it", "ja", "ko", "ms", "my", "pt", "ru", "th", "uk", "vi", "yue", "zh"];
const LATER_MS = 3000; // until the list is asked for again when that failed

// What is being sent: {name, share, abort}. It goes on while another view is looked at.
const sending = store(null);
const refused = store(null); // why the last one was not taken

export function View({ about }) {
  return html`
    <${Page} name="articles" title=${t("articles.title")} lead=${t("articles.lead")}>
      ${about.articles ? html`<${Articles} options=${about.articles} />` : html`<${Notice}>${t("articles.none")}<//>`}
    <//>
  `;
}

function Articles({ options }) {
  const { articles, problem, again } = useArticles();
  const below = useOpened();
  return html`
    <${New} options=${options} added=${again} />
    ${problem && html`<${Notice} tone="bad" live>${problem.message}<//>`}
    ${articles && !articles.length && html`<${Panel}><${Empty} title=${t("articles.empty")}><p class="muted">${t("articles.empty_text")}</p><//><//>`}
    ${articles?.length > 0 && html`
      <ul class="articles" aria-label=${t("articles.all")}>
        ${articles.map((one) => html`<li key=${one.id}><${Article} article=${one} below=${below} again=${again} /></li>`)}
      </ul>`}
  `;
}

// All of one's own. One stream at most: of the first that is under way, which is the next to change; browsers keep six
// connections to a server.
function useArticles() {
  const [state, set] = useState({ articles: null, problem: null });
  const [turn, count] = useState(0);
  const again = () => count((before) => before + 1);
  const first = state.articles?.findLast((one) => !OVER.includes(one.status))?.id;

  useEffect(() => {
    let gone = false;
    api.get("v1/articles").then(
      ({ data }) => gone || set({ articles: data, problem: null }),
      (problem) => {
        if (gone) return;
        set((before) => ({ ...before, problem: problem.status === 401 ? null : problem }));
        if (problem.passing) setTimeout(() => gone || again(), LATER_MS);
      },
    );
    return () => (gone = true);
  }, [turn]);

  useEffect(() => {
    if (!first) return;
    let status;
    const stream = listen(`v1/articles/${first}/events`, {
      onFrame(frame) {
        set((before) => ({ ...before, articles: before.articles.map((one) => (one.id === frame.id ? frame : one)) }));
        const over = OVER.includes(frame.status);
        if (over) stream.close();
        if (over || (status && frame.status !== status)) again(); // what waits behind it has moved up
        status = frame.status;
      },
      onState: (how) => how === "lost" && again(),
    });
    return () => stream.close();
  }, [first]);

  return { ...state, again };
}

// Where a browser can open what was made, without a key.
function useOpened() {
  const [below, set] = useState("");
  useEffect(() => {
    let gone = false;
    (async () => {
      while (!gone) {
        let wait = LATER_MS;
        try {
          const found = await api.send("articles/open");
          set(found.below);
          wait = (found.seconds / 3) * 1000;
        } catch {
          // the shell tells that the server is away
        }
        await pause(wait);
      }
    })();
    return () => (gone = true);
  }, []);
  return below;
}

// ---- a new one ----

function New({ options, added }) {
  const [file, setFile] = useState(null);
  const [address, setAddress] = useState("");
  const [wish, setWish] = useState({});
  const [over, setOver] = useState(false);
  const now = sending.use();
  const problem = refused.use();
  const picker = useRef();
  const set = (name) => (value) => setWish({ ...wish, [name]: value });

  async function start(event) {
    event.preventDefault();
    const given = Object.fromEntries(Object.entries(wish).filter(([, value]) => value.trim()));
    if (await send(file, address.trim(), given)) {
      setFile(null);
      setAddress("");
      picker.current.value = "";
    }
    added();
  }
  const take = (files) => files?.[0] && (setFile(files[0]), setAddress(""));
  const drop = (event) => (event.preventDefault(), setOver(false), take(event.dataTransfer.files));

  return html`
    <${Panel} title=${t("articles.new")}>
      <form class="stack" onSubmit=${start}>
        <div class="article-sources">
          <div class=${"article-drop" + (over ? " over" : "")} onDragOver=${(event) => (event.preventDefault(), setOver(true))} onDragLeave=${() => setOver(false)} onDrop=${drop}>
            <input type="file" accept="video/*,audio/*" class="sr" id="recording" ref=${picker} onChange=${(event) => take(event.target.files)} />
            <label class="button" for="recording"><${Icon} name="clip" /><span>${t("articles.choose")}</span></label>
            <p class="small muted">${file ? html`<b>${file.name}</b>` : t("articles.drop")}</p>
          </div>
          <${Field} label=${t("articles.address")} hint=${t("articles.address_hint")} control=${(id, hint) => html`
            <input id=${id} type="url" aria-describedby=${hint} placeholder="https://" autocomplete="off" value=${address}
              onInput=${(event) => (setAddress(event.target.value), setFile(null), (picker.current.value = ""))} />`} />
        </div>
        <details class="figures">
          <summary>${t("articles.options")}</summary>
          <${Options} options=${options} wish=${wish} set=${set} />
        </details>
        ${problem && html`<${Notice} tone="bad" live>${problem.message}<//>`}
        ${now
          ? html`
            <div class="stack" role="status">
              <p class="row spread small"><span>${t("articles.sending", { name: now.name })}</span><span class="number">${percent(now.share)}</span></p>
              <${Bar} value=${now.share} label=${t("articles.sending", { name: now.name })} />
              <div><${Button} icon="stop" kind="danger" onClick=${() => now.abort()}>${t("articles.cancel")}<//></div>
            </div>`
          : html`<div><button class="button primary" disabled=${!file && !/^https?:\/\/./i.test(address.trim())}>${t("articles.start")}</button></div>`}
      </form>
    <//>
  `;
}

// Sends one; whether it was taken.
async function send(file, address, wish) {
  refused.set(null);
  const abort = new AbortController();
  const name = file?.name ?? address;
  const share = (value) => sending.set({ name, share: value, abort: () => abort.abort() });
  try {
    if (!file) await api.send("v1/articles", { source: address, ...wish });
    else {
      share(0);
      await upload(`v1/articles?${new URLSearchParams({ ...wish, name })}`, file, { onProgress: share, signal: abort.signal });
    }
    return true;
  } catch (problem) {
    if (problem instanceof Problem) refused.set(problem);
    return false;
  } finally {
    sending.set(null);
  }
}

const languages = (codes) => {
  const names = new Intl.DisplayNames(locale(), { type: "language" });
  return codes.map((code) => [code, names.of(code)]);
};
const WORDS = {
  tone: { neutral: "articles.tone_neutral", friendly: "articles.tone_friendly", formal: "articles.tone_formal" },
  length: { short: "articles.length_short", medium: "articles.length_medium", long: "articles.length_long" },
  unsupported: { drop: "articles.unsupported_drop", flag: "articles.unsupported_flag" },
};

function Options({ options, wish, set }) {
  const choices = (name) => options[name].map((value) => [value, WORDS[name][value] ? t(WORDS[name][value]) : value]);
  return html`
    <div class="grid article-options">
      <${Select} label=${t("articles.language")} hint=${t("articles.language_hint")} value=${wish.language ?? ""} onChange=${set("language")}
        options=${[["", t("articles.as_spoken")], ...languages(options.language)]} />
      <${Select} label=${t("articles.spoken")} value=${wish.spoken ?? ""} onChange=${set("spoken")} options=${[["", t("articles.detect")], ...languages(SPOKEN)]} />
      <${Select} label=${t("articles.length")} value=${wish.length ?? "medium"} onChange=${set("length")} options=${choices("length")} />
      <${Select} label=${t("articles.tone")} value=${wish.tone ?? "neutral"} onChange=${set("tone")} options=${choices("tone")} />
      <${Select} label=${t("articles.unsupported")} value=${wish.unsupported ?? "drop"} onChange=${set("unsupported")} options=${choices("unsupported")} />
      <${Field} label=${t("articles.audience")} control=${(id) => html`
        <input id=${id} maxlength="200" placeholder=${t("articles.audience_example")} value=${wish.audience ?? ""} onInput=${(event) => set("audience")(event.target.value)} />`} />
    </div>
  `;
}

// ---- one ----

const TONES = { queued: "", running: "accent", done: "good", failed: "bad", cancelled: "warn" };
const STATES = {
  queued: "articles.queued", running: "articles.running", done: "articles.done", failed: "articles.failed", cancelled: "articles.cancelled",
};
const MODES = { written: "articles.written", extractive: "articles.extractive" };

function Article({ article, below, again }) {
  const { id, status, article: made, source } = article;
  const [problem, set] = useState(null);
  const [asking, ask] = useState(false);
  const act = (path, method) => async () => {
    set(null);
    try {
      await api.send(`v1/articles/${id}${path}`, undefined, method);
      again();
    } catch (found) {
      set(found);
    }
  };
  const file = (kind) => `${below}${id}/work/render/article.${kind}`;
  const title = made?.title || named(source);
  const under = !OVER.includes(status);
  return html`
    <article class="panel article" aria-label=${title}>
      <header class="article-head">
        <h2>${made?.files.html && below ? html`<a href=${file("html")} target="_blank" rel="noopener" lang=${made.language}>${title}</a>` : title}</h2>
        <${Tag} tone=${TONES[status]}>${t(STATES[status])}<//>
      </header>
      <p class="small muted article-told">
        ${made && html`<span>${t(MODES[made.mode])}</span><span>${languages([made.language])[0][1]}</span><span class="number">${t("articles.score", { score: percent(made.score / 100, 1) })}</span>`}
        ${made && source !== title && html`<span class="article-source">${named(source)}</span>`}
        <span>${date(article.created_at * 1000, { dateStyle: "medium", timeStyle: "short" })}</span>
      </p>
      ${under && html`<${Stages} article=${article} />`}
      ${article.error && html`<${Notice} tone="bad"><span lang="en">${article.error.message}</span><//>`}
      ${problem && html`<${Notice} tone="bad" live>${problem.message}<//>`}
      <div class="row">
        ${made?.files.html && below && html`<a class="button primary" href=${file("html")} target="_blank" rel="noopener">${t("articles.open")}</a>`}
        ${made && below && KINDS.filter((kind) => made.files[kind]).map((kind) => html`
          <a class="button" href=${file(kind)} download=${`${plain(title)}.${kind}`} aria-label=${t("articles.download", { kind: kind.toUpperCase() })}><${Icon} name="save" /><span>${kind.toUpperCase()}</span></a>`)}
        ${under && html`<${Button} icon="stop" kind="danger" onClick=${act("/cancel", "POST")}>${t("articles.cancel")}<//>`}
        ${["failed", "cancelled"].includes(status) && html`<${Button} icon="again" onClick=${act("/resume", "POST")}>${t("articles.resume")}<//>`}
        ${!under && !asking && html`<${Button} kind="quiet" icon="trash" label=${t("articles.drop_it", { title })} onClick=${() => ask(true)} />`}
        ${!under && asking && html`
          <${Button} kind="danger" icon="trash" onClick=${act("", "DELETE")}>${t("articles.drop_all")}<//>
          <${Button} kind="quiet" onClick=${() => ask(false)}>${t("articles.keep")}<//>`}
      </div>
    </article>
  `;
}

// Host and path of an address, or the file's name.
const named = (source) => source.replace(/^https?:\/\/(www\.)?/, "");
// What a file may be called everywhere.
const plain = (title) => title.replace(/[\\/:*?"<>|\p{Cc}]+/gu, " ").trim().slice(0, 80) || "article";

function Stages({ article }) {
  const { stage, done, seconds_left: left } = article.progress;
  const stages = STAGES.filter((name) => name !== "download" || /^https?:/i.test(article.source));
  const at = stages.indexOf(stage);
  if (article.status === "queued") return html`<p class="muted">${t("articles.ahead", { count: article.ahead + 1 })}</p>`;
  return html`
    <ol class="stages" aria-label=${t("articles.stages")}>
      ${stages.map((name, i) => html`
        <li class=${i < at ? "past" : ""} aria-current=${i === at ? "step" : undefined}>
          ${i < at && html`<${Icon} name="check" />`}<span>${t("articles.stage_" + name)}</span>
        </li>`)}
    </ol>
    ${at >= 0 && html`
      <div class="article-now">
        <${Bar} value=${done} label=${t("articles.stage_" + stage)} />
        <span class="small muted number">${percent(done)}${left >= 1 && html` · ${t("articles.left", { time: duration(left) })}`}</span>
      </div>`}
  `;
}

function duration(seconds) {
  if (seconds < 90) return unit(Math.ceil(seconds), "second", 0, "long");
  if (seconds < 90 * 60) return unit(seconds / 60, "minute", 0, "long");
  return unit(seconds / 3600, "hour", 1, "long");
}
