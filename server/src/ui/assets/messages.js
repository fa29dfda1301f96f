// Short messages that belong to no place on the page: toasts, and announcements for screen readers.
// Errors stay until they are closed; news leaves by itself, except while the pointer or the focus is on it.

import { byId, el, icon, iconButton, setText } from './dom.js';
import { describe } from './errors.js';

const NEWS_MILLIS = 6000;
const MOST_AT_ONCE = 3;

/** Says something to screen readers without showing it. */
export function announce(text) {
  setText(byId('announcer'), text);
}

/** A passing message, with an optional action `{label, run}`. */
export function tell(title, { detail = '', action = null } = {}) {
  const toast = show('info', title, detail, action);
  let timer = 0;
  const arm = () => { timer = setTimeout(() => toast.remove(), NEWS_MILLIS); };
  const hold = () => clearTimeout(timer);
  for (const name of ['pointerenter', 'focusin']) toast.addEventListener(name, hold);
  for (const name of ['pointerleave', 'focusout']) toast.addEventListener(name, arm);
  arm();
}

/** An error in words; stays until closed. */
export function complain(error) {
  const { title, detail } = describe(error);
  show('error', title, detail, null);
}

function show(kind, title, detail, action) {
  const box = byId('toasts');
  const same = [...box.children].find((toast) => toast.dataset.key === `${title}\n${detail}`);
  same?.remove();
  while (box.children.length >= MOST_AT_ONCE) box.firstElementChild.remove();
  const toast = el('div', { class: `toast toast-${kind}`, role: kind === 'error' ? 'alert' : 'status' },
    icon(kind === 'error' ? 'alert' : 'info', 'toast-icon'),
    el('div', { class: 'toast-words' },
      el('p', { class: 'toast-title' }, title),
      detail && el('p', { class: 'toast-detail' }, detail)),
    action && el('button', { type: 'button', class: 'button button-small', onclick: () => { toast.remove(); action.run(); } }, action.label),
    iconButton('close', 'Close this message', () => toast.remove(), 'toast-close'));
  toast.dataset.key = `${title}\n${detail}`;
  box.append(toast);
  return toast;
}
