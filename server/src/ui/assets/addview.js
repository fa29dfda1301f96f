// The Add view: where new photos come from (this device, or a folder on the server's machine) and into which
// collection they go. Adding is a place of its own, so that dropping a photo to search never stores it.

import { byId, el, setText } from './dom.js';
import { inWords } from './errors.js';
import { count } from './format.js';
import { mountDescriptor } from './descriptor.js';
import { tell } from './messages.js';
import { filesFromDrop, filesFromInput, filesFromPaste } from './files.js';
import { whenDropped } from './searchzone.js';

/** What Milvus allows as the name of a collection. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,254}$/;

export function mountAddView(store, { onUpload, onImport }) {
  const target = byId('target');
  const problem = () => nameProblem(target.value.trim());
  const descriptor = mountDescriptor(store);

  const checkTarget = () => {
    const text = problem();
    target.setAttribute('aria-invalid', String(Boolean(text)));
    byId('target-note').classList.toggle('is-error', Boolean(text));
    const isNew = !text && isNewCollection(store.get(), target.value.trim());
    setText(byId('target-note'), isNew ? `${target.value.trim()} is new. It starts with the first photo.` : text);
    descriptor.showFor(isNew);
    return !text;
  };
  const upload = ({ files, skipped }) => {
    if (!checkTarget()) return target.focus();
    if (files.length === 0) return tell('There were no images in that', { detail: skipped ? `${count(skipped)} other files were skipped.` : '' });
    onUpload(target.value.trim(), files, { skipped, descriptor: descriptor.chosen() });
  };

  target.addEventListener('input', checkTarget);
  store.watch(['collection'], ({ collection }) => { target.value = collection; });
  store.watch(['collections', 'collection'], ({ collections }) => {
    byId('target-options').replaceChildren(...(collections ?? []).map((one) => el('option', { value: one.collection })));
    checkTarget();
  });
  mountUpload(store, upload);
  mountImport(store, { checkTarget, target, onImport: (collection, folder) => onImport(collection, folder, descriptor.chosen()) });
  return upload;
}

function mountUpload(store, upload) {
  for (const [button, input] of [['choose-upload', 'upload-files'], ['choose-folder', 'upload-folder']]) {
    byId(button).addEventListener('click', () => byId(input).click());
    byId(input).addEventListener('change', () => {
      const chosen = filesFromInput(byId(input));
      byId(input).value = '';
      if (chosen.files.length || chosen.skipped) upload(chosen);
    });
  }
  whenDropped(byId('view-add'), () => byId('upload-zone'), (transfer) => filesFromDrop(transfer).then(upload));
  document.addEventListener('paste', (event) => {
    const files = filesFromPaste(event);
    if (files.length === 0 || store.get().view !== 'add') return;
    event.preventDefault();
    upload({ files: files.map((file) => ({ file, name: file.name })), skipped: 0 });
  });
}

function mountImport(store, { checkTarget, target, onImport }) {
  const folder = byId('folder');
  const error = byId('import-error');
  byId('import-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    setText(error, folder.value.trim() ? '' : 'Type the path of a folder on the server\u2019s machine.');
    if (error.textContent) return folder.focus();
    if (!checkTarget()) return target.focus();
    byId('start-import').disabled = true;
    try {
      await onImport(target.value.trim(), folder.value.trim());
    } catch (reason) {
      setText(error, inWords(reason));
    } finally {
      byId('start-import').disabled = false;
    }
  });
  folder.addEventListener('input', () => setText(error, ''));
  store.watch(['status'], ({ status }) => {
    const roots = status?.imageRoots ?? [];
    byId('import-closed').hidden = !status || roots.length > 0;
    byId('import-body').hidden = Boolean(status) && roots.length === 0;
    byId('folder-options').replaceChildren(...roots.map((root) => el('option', { value: root })));
    byId('folder-suggestions').replaceChildren(...roots.map((root) => el('button', {
      type: 'button',
      class: 'chip',
      title: `Use ${root}`,
      onclick: () => {
        folder.value = root;
        setText(error, '');
        folder.focus();
      },
    }, el('bdi', {}, root))));
  });
}

function nameProblem(name) {
  if (NAME.test(name)) return '';
  if (!name) return 'A collection needs a name.';
  return 'A name starts with a letter or an underscore and goes on with letters, digits and underscores.';
}

/** Whether there is no such collection; false while nothing is known about any. */
function isNewCollection({ collections }, name) {
  return collections !== null && !collections.some((one) => one.collection === name);
}
