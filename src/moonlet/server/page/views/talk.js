import { html, Page, t } from "../ui.js";

export function View() {
  return html`<${Page} name="talk" title=${t("shell.talk")}><//>`;
}
