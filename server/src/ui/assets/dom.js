// The few DOM helpers that every view uses: look up, build, fill.
// Text reaches the page only through `textContent` or text nodes, never as HTML, because file names come
// from strangers. No `style` attributes either: the content security policy forbids them.

const SVG = 'http://www.w3.org/2000/svg';

/** The element with this id; a missing one is a mistake in index.html, so it throws. */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`index.html has no element #${id}`);
  return node;
}

/**
 * Builds an element. Attributes named `on...` are listeners; `true` sets an empty attribute; `false`,
 * `null` and `undefined` leave it out. Children are nodes or strings (which become text nodes).
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An icon from the sprite in index.html, hidden from screen readers. */
export function icon(name, extraClass = '') {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', `icon ${extraClass}`.trim());
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A round button that shows only an icon; the label is its name and its tooltip. */
export function iconButton(name, label, onclick, extraClass = '') {
  return el('button', { type: 'button', class: `icon-button ${extraClass}`.trim(), 'aria-label': label, title: label, onclick }, icon(name));
}

/** Sets text only when it differs, so that live regions do not repeat themselves. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
