// Small helpers. Text of events is hostile: it only ever becomes a text node.

import { texts } from "./texts.js";

export const byId = (id) => document.getElementById(id);

/** An element with properties and children; strings become text. */
export function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export const button = (textContent, onclick) =>
  element("button", { type: "button", textContent, onclick });

/** Copies the text and says so on the button for a moment. */
export async function copy(text, { target }) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // Without https there is no clipboard API.
    const area = element("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    target.focus();
  }
  const before = target.textContent;
  if (before === texts.copied) return;
  target.textContent = texts.copied;
  setTimeout(() => { target.textContent = before; }, 1500);
}
