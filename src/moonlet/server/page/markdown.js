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

const math = [
  { name: "mathBlock", level: "block", start: /\$\$|\\\[/, find: /^(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])(?:\n|$)/, shown: "math block" },
  { name: "mathLine", level: "inline", start: /\$|\\\(/, find: /^(?:\$\$([^\n]+?)\$\$|\\\(([\s\S]+?)\\\)|\$(?=\S)((?:[^$\n\\]|\\.)*?[^\s\\])\$(?!\d))/, shown: "math" },
].map(({ name, level, start, find, shown }) => ({
  name,
  level,
  start: (text) => {
    const at = text.search(start);
    return at < 0 ? undefined : at;
  },
  tokenizer(text) {
    const found = find.exec(text);
    return found && { type: name, raw: found[0], text: found.slice(1).find(Boolean).trim() };
  },
  renderer: (token) => `<code class="${shown}">${escape(token.text)}</code>`,
}));

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
  const made = DOMPurify.sanitize(marked.parse(text), RULES);
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
    await navigator.clipboard?.writeText(block.textContent);
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
