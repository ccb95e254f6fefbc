import { html, Page, t } from "../ui.js";

export function View() {
  return html`<${Page} name="act" title=${t("shell.act")}><//>`;
}
