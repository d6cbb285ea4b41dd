// Builds elements without a string of HTML anywhere: the page forbids that to itself, as Meet does.

const config = JSON.parse(document.getElementById("config").textContent);

export { config };

/** The page's text of that name, with {places} filled in. */
export function say(name, places = {}) {
  const text = config.texts[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (whole, key) => places[key] ?? whole);
}

/**
 * An element. An attribute that is null or false is left out, true is written empty;
 * "on…" takes a listener. Children are elements, texts, or null for nothing.
 */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Names an element for assistive technology, or unnames it. */
export function name(element, label) {
  if (label === null) element.removeAttribute("aria-label");
  else element.setAttribute("aria-label", label);
}

/** Puts `children` in place of what the page shows. */
export function show(...children) {
  document.body.replaceChildren(...children);
}

/** Makes a list's children those of `wanted`, in that order, without touching what stays. */
export function arrange(list, wanted) {
  const keep = new Set(wanted);
  for (const child of [...list.children]) if (!keep.has(child)) child.remove();
  wanted.forEach((child, at) => {
    if (list.children[at] !== child) list.insertBefore(child, list.children[at] ?? null);
  });
}
