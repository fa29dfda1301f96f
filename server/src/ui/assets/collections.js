// The collections: their counts, the menu that switches between them, and clearing one after a question.
// The server's list is the only truth; it is read again after everything that may change it.

import * as api from './api.js';
import { byId, el, icon, iconButton, setText } from './dom.js';
import { complain, tell } from './messages.js';
import { count, photos } from './format.js';
import { ask } from './confirm.js';
import { isActive } from './activities.js';

/** Reads the list again. Failures are silent: the offline banner already says what is wrong. */
export async function refreshCollections(store) {
  try {
    store.set({ collections: await api.listCollections() });
  } catch (error) {
    if (store.get().collections !== null) return;
    store.set({ shown: { ...store.get().shown, phase: 'failed', error } });
  }
}

export function mountCollections(store, { onSwitch, onCleared }) {
  const menu = byId('collection-menu');
  placeBelow(byId('collection-button'), menu);
  placeBelow(byId('device-button'), byId('device-card'));
  placeBelow(byId('metric-button'), byId('metric-card'));

  const choose = (name) => {
    menu.hidePopover();
    if (name !== store.get().collection) onSwitch(name);
  };
  const clear = async (entry) => {
    menu.hidePopover();
    if (await clearCollection(store, entry)) onCleared(entry.collection);
  };

  store.watch(['collections', 'collection'], (state) => {
    const entries = withCurrent(state);
    const current = entries.find((entry) => entry.collection === state.collection);
    setText(byId('collection-name'), state.collection);
    setText(byId('collection-count'), state.collections ? count(current.count) : '');
    replaceRows(byId('collection-list'), entries.map((entry) => row(entry, state.collection, choose, clear)));
  });
}

/** The list with the chosen collection in it, even before its first photo has created it. */
function withCurrent({ collections, collection }) {
  const list = collections ?? [];
  if (list.some((entry) => entry.collection === collection)) return list;
  return [...list, { collection, count: 0, searchable: true, absent: true }];
}

/** New counts must not take the focus away from someone who is choosing. */
function replaceRows(list, rows) {
  const label = list.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  list.replaceChildren(...rows);
  if (label) list.querySelector(`[data-focus="${CSS.escape(label)}"]`)?.focus();
}

function row(entry, current, choose, clear) {
  const name = entry.collection;
  const chosen = name === current;
  const clearButton = entry.absent ? null : iconButton('trash', `Clear ${name}`, () => clear(entry), 'collection-clear');
  clearButton?.setAttribute('data-focus', `clear ${name}`);
  return el('li', { class: 'collection-row' },
    el('button', { type: 'button', class: 'collection-choice', 'data-focus': `choose ${name}`, 'aria-pressed': String(chosen), onclick: () => choose(name) },
      icon('check', chosen ? 'collection-tick' : 'collection-tick is-blank'),
      el('span', { class: 'collection-label', title: [name, entry.model].filter(Boolean).join('\n') }, name),
      !entry.searchable && el('span', { class: 'tag', title: entry.reason ?? 'It holds no photos of this server\u2019s model' }, entry.reason ? 'out of service' : 'no photos'),
      el('span', { class: 'count' }, count(entry.count))),
    clearButton);
}

async function clearCollection(store, { collection }) {
  await refreshCollections(store);
  const total = store.get().collections?.find((one) => one.collection === collection)?.count ?? 0;
  const arriving = store.get().activities.filter((one) => one.collection === collection && isActive(one));
  const sure = await ask({
    title: `Clear the collection ${collection}?`,
    text: `${photos(total)} and everything stored with them will be removed from Elanus. `
      + `The files in the folders they came from stay where they are. This cannot be undone.`
      + (arriving.length ? ' Photos that are being added right now stop arriving.' : ''),
    yes: total ? `Clear ${photos(total)}` : 'Clear',
    no: 'Keep',
  });
  if (!sure) return false;
  try {
    await Promise.all(arriving.map((activity) => activity.cancel()));
    await api.dropCollection(collection);
  } catch (error) {
    complain(error);
    return false;
  }
  tell(`${collection} is cleared`, { detail: `${photos(total)} removed.` });
  return true;
}

/** Popovers open in the top layer, away from their button; this puts them below it, inside the window. */
function placeBelow(button, popover) {
  popover.addEventListener('toggle', (event) => {
    button.setAttribute('aria-expanded', String(event.newState === 'open'));
  });
  popover.addEventListener('beforetoggle', (event) => {
    if (event.newState !== 'open') return;
    const place = button.getBoundingClientRect();
    popover.style.setProperty('--top', `${Math.round(place.bottom + 8)}px`);
    popover.style.setProperty('--right', `${Math.max(12, Math.round(innerWidth - place.right))}px`);
  });
}
