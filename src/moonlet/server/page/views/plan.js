import { html, Page, t } from "../ui.js";

export function View() {
  return html`<${Page} name="plan" title=${t("shell.plan")}><//>`;
}
