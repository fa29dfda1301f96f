// The light and dark toggle. Without a choice the page follows the system; a choice is remembered in this
// browser, where theme-boot.js finds it before the first paint.

import { byId } from './dom.js';
import { remember } from './preferences.js';

const systemDark = matchMedia('(prefers-color-scheme: dark)');

export function mountTheme() {
  const button = byId('theme-button');
  const render = () => {
    const label = current() === 'dark' ? 'Switch to light' : 'Switch to dark';
    button.setAttribute('aria-label', label);
    button.title = label;
  };
  button.addEventListener('click', () => {
    const next = current() === 'dark' ? 'light' : 'dark';
    document.documentElement.dataset.theme = next;
    remember('theme', next);
    render();
  });
  systemDark.addEventListener('change', render);
  render();
}

function current() {
  return document.documentElement.dataset.theme ?? (systemDark.matches ? 'dark' : 'light');
}
