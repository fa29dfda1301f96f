// One question with two answers, asked in the browser's own modal dialog. The safe answer has the focus.

import { byId } from './dom.js';

/** Resolves with true when the person says yes; Escape and the other button mean no. */
export function ask({ title, text, yes, no }) {
  const dialog = byId('confirm');
  byId('confirm-title').textContent = title;
  byId('confirm-text').textContent = text;
  byId('confirm-yes').textContent = yes;
  byId('confirm-no').textContent = no;
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}
