// What a model says, as a document. Nothing of it can act on the page:
//
//   1. raw HTML is shown as the text it is; pictures become links (a picture's address could carry the conversation out);
//   2. what the Markdown parser makes is cut down by DOMPurify to the tags and attributes listed here;
//   3. links lead to http, https and mailto only, in a new tab that knows nothing of this one;
//   4. the page's policy would run no script and load nothing from elsewhere even then.

import { Marked } from "./vendor/marked.js";
import "./vendor/purify.js"; // as a global
import { html, useEffect, useRef } from "./vendor/preact.js";
import { t } from "./i18n.js";

const { DOMPurify } = globalThis;
const TAGS = ["p", "br", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "hr"];
const RULES = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ["href", "class", "start", "align"],
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

const escape = (text) => text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);
const leads = (href) => /^(?:https?:\/\/|mailto:)/i.test(href.trim());

// A formula has an end within 4,000 signs: looking for it must not take longer the longer the text is.
const BLOCK = /(?:\$\$([\s\S]{1,4000}?)\$\$|\\\[([\s\S]{1,4000}?)\\\])(?:\n|$)/y;
const LINE = /(?:\$\$([^\n]{1,4000}?)\$\$|\\\(([\s\S]{1,4000}?)\\\)|\$(?=\S)((?:[^$\n\\]|\\.){0,4000}?[^\s\\])\$(?!\d))/y;
const found = (find, text, at) => ((find.lastIndex = at), find.exec(text));

const math = [
  { name: "mathBlock", level: "block", find: BLOCK, shown: "math block", start: startBlock },
  { name: "mathLine", level: "inline", find: LINE, shown: "math", start: (text) => text.match(/\$|\\\(/)?.index },
].map(({ name, level, find, shown, start }) => ({
  name,
  level,
  start,
  tokenizer(text) {
    const one = found(find, text, 0);
    return one && { type: name, raw: one[0], text: one.slice(1).find(Boolean).trim() };
  },
  renderer: (token) => `<code class="${shown}">${escape(token.text)}</code>`,
}));

// Where a formula ends the paragraph at whose beginning `text` stands. What only looks like one must not: each time the
// parser would begin the paragraph again.
function startBlock(text) {
  const paragraph = /\n[ \t]*\n/.exec(text)?.index;
  for (const { index } of text.slice(0, paragraph).matchAll(/\$\$|\\\[/g)) if (found(BLOCK, text, index)) return index;
}

// Nested deeper than the parser's stack, a text stays as it was written.
function parsed(text) {
  try {
    return marked.parse(text);
  } catch {
    return `<p>${escape(text)}</p>`;
  }
}

const marked = new Marked({
  gfm: true,
  breaks: false,
  extensions: math,
  renderer: {
    html: (token) => escape(token.raw ?? token.text),
    image: (token) => (leads(token.href) ? `<a href="${escape(token.href)}">${escape(token.text || token.href)}</a>` : escape(token.raw)),
    link(token) {
      const inner = this.parser.parseInline(token.tokens);
      return leads(token.href) ? `<a href="${escape(token.href)}">${inner}</a>` : inner;
    },
    heading(token) {
      const level = Math.min(token.depth + 2, 6); // below the page's own headings
      return `<h${level}>${this.parser.parseInline(token.tokens)}</h${level}>`;
    },
    code(token) {
      const name = /^[\w+#.-]{1,24}/.exec(token.lang ?? "")?.[0];
      return `<pre><code${name ? ` class="language-${escape(name)}"` : ""}>${escape(token.text)}</code></pre>`;
    },
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A") {
    node.target = "_blank";
    node.rel = "noopener noreferrer nofollow";
  }
});

// A fragment of the document for this Markdown.
export function fragment(text) {
  const made = DOMPurify.sanitize(parsed(text), RULES);
  for (const code of made.querySelectorAll("code.math")) formula(code);
  for (const block of made.querySelectorAll("pre")) frame(block);
  for (const table of made.querySelectorAll("table")) {
    const place = document.createElement("div");
    place.className = "scroll";
    place.tabIndex = 0;
    place.setAttribute("role", "region");
    place.setAttribute("aria-label", t("talk.table"));
    table.replaceWith(place);
    place.append(table);
  }
  return made;
}

let katex;
async function formula(code) {
  try {
    katex ??= Promise.all([import("./vendor/katex/katex.js"), sheet("page/vendor/katex/katex.css")]).then(() => globalThis.katex);
    const place = document.createElement("span");
    place.className = code.className;
    (await katex).render(code.textContent, place, {
      displayMode: code.classList.contains("block"),
      throwOnError: true,
      trust: false,
      strict: "ignore",
      maxSize: 20,
      maxExpand: 200,
    });
    code.replaceWith(place);
  } catch {
    // it stays as it was written
  }
}

function sheet(href) {
  return new Promise((done) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = href;
    link.onload = link.onerror = done;
    document.head.append(link);
  });
}

// A block of code with its language and a button that copies it.
function frame(block) {
  const name = block.firstElementChild?.className.replace("language-", "") ?? "";
  const head = document.createElement("div");
  head.className = "code-head";
  const told = document.createElement("span");
  told.textContent = name;
  const copy = document.createElement("button");
  copy.type = "button";
  copy.textContent = t("talk.copy");
  copy.onclick = async () => {
    if (!(await toClipboard(block.textContent))) return;
    copy.textContent = t("talk.copied");
    setTimeout(() => (copy.textContent = t("talk.copy")), 1500);
  };
  head.append(told, copy);
  const place = document.createElement("div");
  place.className = "code";
  block.tabIndex = 0;
  block.replaceWith(place);
  place.append(head, block);
}

// Whether it could be copied. Over plain HTTP from another machine there is no navigator.clipboard.
export async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const back = document.activeElement;
    const area = document.createElement("textarea");
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area); // outside of an open dialog nothing is selected
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    back?.focus({ preventScroll: true });
    return done;
  }
}

// Finished blocks of a text that is being written, and its rest. A block ends at an empty line outside a code fence.
export function blocks(text) {
  const found = [];
  let block = "";
  let fence = "";
  for (const line of text.split(/(?<=\n)/)) {
    const mark = /^ {0,3}(```|~~~|\$\$)/.exec(line)?.[1];
    if (mark && (!fence || mark === fence)) fence = fence ? "" : mark;
    block += line;
    if (!line.trim() && !fence) {
      if (block.trim()) found.push(block);
      block = "";
    }
  }
  return block ? [...found, block] : found;
}

// While it is `live`, only blocks that changed are made anew; once it is whole it is made as a whole.
export function Markdown({ text, live }) {
  const place = useRef();
  const shown = useRef([]);
  useEffect(() => {
    const wanted = live ? blocks(text) : [text];
    const old = shown.current;
    wanted.forEach((block, i) => {
      if (old[i]?.block === block && old[i].live === !!live) return;
      const node = old[i]?.node ?? place.current.appendChild(document.createElement("div"));
      node.replaceChildren(fragment(block));
      old[i] = { block, node, live: !!live };
    });
    for (const { node } of old.splice(wanted.length)) node.remove();
  }, [text, live]);
  return html`<div class="prose" ref=${place}></div>`;
}
