import { html, Page, t } from "../ui.js";

export function View() {
  return html`<${Page} name="books" title=${t("shell.books")}><//>`;
}
