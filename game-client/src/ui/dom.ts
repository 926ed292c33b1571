/** Elements in one line. Text is always text: nothing that a player wrote is ever taken for markup. */

type Child = Node | string | undefined | false;
type Attributes = Readonly<Record<string, string | boolean | undefined>>;

/** An element with attributes and children. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (typeof value === "string") element.setAttribute(name, value);
  }
  element.append(...children.filter((child): child is Node | string => child !== undefined && child !== false));
  return element;
}

/** A button that does something. */
export function button(
  label: string,
  attributes: Attributes,
  does: () => void,
  ...children: readonly Child[]
): HTMLButtonElement {
  const element = h("button", { type: "button", ...attributes }, ...(children.length > 0 ? children : [label]));
  if (children.length > 0) element.setAttribute("aria-label", label);
  element.addEventListener("click", does);
  return element;
}

/** The element of the page with that id; the page is ours, so it is there. */
export function byId<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${kind.name} called ${id}`);
}

/** The colour of a banner or of one's own land, as a class: the policy of the page allows no styles in elements. */
export function chip(banner: number | "own"): HTMLElement {
  return h("span", { class: `chip banner-${banner}`, "aria-hidden": "true" });
}
