// What a page shows, for those who go by roles and names: one walk, one answer, nothing changed.
//
// It runs in a world of its own, where nothing of the page's scripts can be in its way, and is
// called twice a second in a live meeting: so it asks for no layout, and goes nowhere that is
// hidden. All that it answers is bounded, however large the page is.

(() => {
  "use strict";

  const MOST_ELEMENTS = 20000;
  const MOST_CONTROLS = 250;
  const MOST_TEXTS = 120;
  const MOST_BLOCKS = 60;
  const MOST_LEAVES = 40;
  const LONGEST_NAME = 200;
  const LONGEST_TEXT = 400;
  const LONGEST_LEAF = 8000;
  const DEEPEST = 60;

  const SKIPPED = new Set(["SCRIPT", "STYLE", "NOSCRIPT", "TEMPLATE", "SVG", "CANVAS", "VIDEO", "AUDIO", "IFRAME"]);
  const BUTTONS = new Set(["button", "menuitem", "switch", "tab", "link"]);
  const DIALOGS = new Set(["dialog", "alertdialog"]);
  const LOUD = new Set(["alert", "status", "alertdialog", "dialog", "log"]);
  const LISTS = new Set(["list", "log", "feed"]);
  const ITEMS = new Set(["listitem", "article", "group"]);

  // The same element has the same number for as long as it lives.
  const numbers = new WeakMap();
  let counted = 0;
  const numberOf = (element) => {
    if (!numbers.has(element)) numbers.set(element, ++counted);
    return numbers.get(element);
  };

  const cut = (text, most) => text.replace(/\s+/g, " ").trim().slice(0, most);

  function roleOf(element) {
    const given = element.getAttribute("role");
    if (given) return given.trim().split(/\s+/)[0].toLowerCase();
    switch (element.tagName) {
      case "BUTTON": return "button";
      case "A": return element.hasAttribute("href") ? "link" : "";
      case "DIALOG": return "dialog";
      case "ASIDE": return "complementary";
      case "MAIN": return "main";
      case "H1": case "H2": case "H3": case "H4": return "heading";
      case "UL": case "OL": return "list";
      case "LI": return "listitem";
      case "ARTICLE": return "article";
      case "OUTPUT": return "status";
      case "SECTION": return element.hasAttribute("aria-label") || element.hasAttribute("aria-labelledby") ? "region" : "";
      case "TEXTAREA": return "textbox";
      case "INPUT": {
        const kind = (element.getAttribute("type") || "text").toLowerCase();
        if (kind === "button" || kind === "submit") return "button";
        return ["text", "search", "email", "password"].includes(kind) ? "textbox" : "";
      }
      default: {
        const editable = element.getAttribute("contenteditable");
        return editable === "" || editable === "true" || editable === "plaintext-only" ? "textbox" : "";
      }
    }
  }

  function labelOf(element) {
    const by = element.getAttribute("aria-labelledby");
    if (by) {
      const root = element.getRootNode();
      const said = by.trim().split(/\s+/).slice(0, 4)
        .map((id) => root.getElementById ? root.getElementById(id) : null)
        .filter(Boolean).map((each) => textOf(each)).join(" ");
      if (said.trim()) return cut(said, LONGEST_NAME);
    }
    return cut(element.getAttribute("aria-label") || "", LONGEST_NAME);
  }

  function nameOf(element, role) {
    const label = labelOf(element);
    if (label) return label;
    if (role === "textbox") {
      const labels = element.labels;
      if (labels && labels.length) return cut(textOf(labels[0]), LONGEST_NAME);
      const hint = element.getAttribute("placeholder") || element.getAttribute("title");
      return cut(hint || "", LONGEST_NAME) || labelAround(element);
    }
    if (element.tagName === "INPUT") return cut(element.value || "", LONGEST_NAME);
    return cut(textOf(element), LONGEST_NAME) || cut(element.getAttribute("title") || "", LONGEST_NAME);
  }

  // Some fields are nameless, and lie in something small that has the name.
  function labelAround(element) {
    let around = element.parentElement;
    for (let depth = 0; around && depth < 4; depth++, around = around.parentElement) {
      if (["region", "complementary", "dialog", "main"].includes(roleOf(around))) return "";
      const label = labelOf(around);
      if (label) return label;
    }
    return "";
  }

  const isLeftOut = (element) =>
    SKIPPED.has(element.tagName.toUpperCase()) || element.hidden || element.inert ||
    element.getAttribute("aria-hidden") === "true";

  const isShown = (element) => element.checkVisibility({ visibilityProperty: true });

  const childrenOf = (element) => (element.shadowRoot || element).childNodes;

  // The texts of an element, in order, one for each run of inline words; no buttons among them.
  function leavesOf(element, { buttons = false } = {}) {
    const leaves = [];
    let left = 2000;
    const visit = (node, depth) => {
      if (--left < 0 || depth > DEEPEST || leaves.length >= MOST_LEAVES) return;
      if (node.nodeType === Node.TEXT_NODE) {
        const text = node.data.replace(/\s+/g, " ").trim();
        if (text) leaves.push(text.slice(-LONGEST_LEAF));
      } else if (node.nodeType === Node.ELEMENT_NODE && !isLeftOut(node)) {
        if (!buttons && BUTTONS.has(roleOf(node)) && node !== element) return;
        for (const child of childrenOf(node)) visit(child, depth + 1);
      }
    };
    visit(element, 0);
    return leaves;
  }

  function textOf(element) {
    return leavesOf(element, { buttons: true }).join(" ");
  }

  // What a list or a region is made of: its items by role; or what has a picture of its own, as
  // the speakers of captions have; or what lies side by side in it.
  function blocksOf(container) {
    const items = [], pictures = [];
    const gather = (node, depth) => {
      if (depth > DEEPEST || items.length >= 2000) return;
      for (const child of childrenOf(node)) {
        if (child.nodeType !== Node.ELEMENT_NODE || isLeftOut(child)) continue;
        if (child.tagName === "IMG") pictures.push(child);
        if (ITEMS.has(roleOf(child))) items.push(child);
        else gather(child, depth + 1);
      }
    };
    gather(container, 0);
    // A block goes by the number of what stays in it when the page wraps or moves it.
    let blocks = items.map((item) => [item, item]);
    if (!items.length && pictures.length) {
      blocks = pictures.map((picture) => [outermostOf(picture, container, pictures), picture]);
    } else if (!items.length) {
      blocks = [...childrenOf(container)]
        .filter((child) => child.nodeType === Node.ELEMENT_NODE && !isLeftOut(child))
        .map((child) => [child, child]);
    }
    return blocks.slice(-MOST_BLOCKS).map(([item, mark]) => ({
      id: numberOf(mark),
      label: labelOf(item),
      leaves: leavesOf(item),
    })).filter((block) => block.leaves.length);
  }

  // The largest part of `container` that holds this picture and no other.
  function outermostOf(picture, container, pictures) {
    let part = picture;
    for (let depth = 0; depth < DEEPEST; depth++) {
      const above = part.parentElement;
      if (!above || above === container) break;
      if (pictures.some((other) => other !== picture && above.contains(other))) break;
      part = above;
    }
    return part;
  }

  // `named` are the beginnings, in small letters, of the names of regions whose parts are wanted.
  function look(named) {
    const seen = {
      address: location.href.slice(0, 2000),
      title: cut(document.title, LONGEST_NAME),
      language: cut(document.documentElement.lang || "", 20),
      ready: document.readyState,
      controls: [],
      texts: [],
      loud: [],
      regions: [],
      elements: 0,
    };
    const place = (list, most, value) => { if (list.length < most) list.push(value); };

    // `dialog` is the number of the dialog that we are in; `aside` is true where meetings' own
    // words stand (captions, lists, panels): those never tell where we are.
    const walk = (node, depth, dialog, aside) => {
      if (depth > DEEPEST * 2 || seen.elements > MOST_ELEMENTS) return;
      for (const child of childrenOf(node)) {
        if (child.nodeType === Node.TEXT_NODE) {
          const text = cut(child.data, LONGEST_TEXT);
          if (text && !aside) place(seen.texts, MOST_TEXTS, text);
          continue;
        }
        if (child.nodeType !== Node.ELEMENT_NODE) continue;
        seen.elements++;
        if (isLeftOut(child)) continue;
        const role = roleOf(child);
        if (!role) { if (child.childNodes.length || child.shadowRoot) {
            if (child.hasAttribute("aria-live") && child.getAttribute("aria-live") !== "off") loud(child, "live");
            walk(child, depth + 1, dialog, aside);
          }
          continue;
        }
        if (!isShown(child)) continue;
        if (BUTTONS.has(role)) {
          place(seen.controls, MOST_CONTROLS, {
            id: numberOf(child), role, name: nameOf(child, role), dialog,
            enabled: !child.disabled && child.getAttribute("aria-disabled") !== "true",
            pressed: child.getAttribute("aria-pressed") || child.getAttribute("aria-checked") || "",
          });
          // A button's own words are its name, and say nothing of where we are.
          continue;
        }
        if (role === "textbox") {
          place(seen.controls, MOST_CONTROLS, {
            id: numberOf(child), role, name: nameOf(child, role), dialog, pressed: "",
            // Only whether there is something in it: what is typed is nobody's business.
            filled: Boolean(child.value === undefined ? child.textContent.trim() : child.value),
            enabled: !child.disabled && !child.readOnly && child.getAttribute("aria-disabled") !== "true",
          });
          continue;
        }
        let inside = dialog, apart = aside;
        if (DIALOGS.has(role)) inside = numberOf(child);
        if (LOUD.has(role)) loud(child, role);
        if (role === "region" || role === "complementary" || LISTS.has(role)) {
          const label = labelOf(child), small = label.toLowerCase();
          // A panel's lists are wanted whatever they are called: one has us in it, with a mark.
          const wanted = named.some((beginning) => small.startsWith(beginning)) || (aside && LISTS.has(role));
          place(seen.regions, 40, { role, name: label, blocks: wanted ? blocksOf(child) : [] });
          apart = apart || wanted || role !== "region";
        }
        walk(child, depth + 1, inside, apart);
      }
    };
    const loud = (element, role) => {
      place(seen.loud, 30, {
        id: numberOf(element), role, name: labelOf(element),
        text: cut(textOf(element), 1500),
      });
    };

    if (document.body) walk(document.body, 0, 0, false);
    return JSON.stringify(seen);
  }

  globalThis.locumLook = look;
})();
