import { html, Page, t } from "../ui.js";

export function View() {
  return html`<${Page} name="inside" title=${t("shell.inside")}><//>`;
}
