// How the photos of a new collection become vectors: the network, the part of a photo that it sees, and how its features
// are pooled. It is chosen once, with the first photo, and stays with the collection; the server says what there is.

import * as api from './api.js';
import { byId, el, setText } from './dom.js';

const INPUTS = { keras: 'Whole photo, 224 pixels', torchvision: 'Middle of the photo, 224 pixels', 320: 'Whole photo, 320 pixels (slower)' };
const POOLINGS = { max: 'Maximum', avg: 'Mean', gem: 'Generalised mean', rmac: 'Regional maxima', none: 'None' };

/** Fills the choices; the returned object shows them for a new collection and tells what was chosen. */
export function mountDescriptor(store) {
  const box = byId('descriptor');
  const [model, input, pooling] = ['model', 'input', 'pooling'].map((id) => byId(`descriptor-${id}`));
  let choices = null;
  let wanted = false;

  const show = () => { box.hidden = !wanted || !choices; };
  const asked = () => ({ model: model.value, input: input.value, pooling: pooling.value });

  /** The words that make sense with a model, the server's own first choice selected. */
  function offer({ inputs, poolings }, chosen = {}) {
    fill(input, inputs, INPUTS, chosen.input);
    fill(pooling, poolings, POOLINGS, chosen.pooling);
  }

  function tellChoice() {
    const { model: network, input: part, pooling: pool } = asked();
    setText(byId('descriptor-words'), [network, part, pool].join(', '));
  }

  async function read() {
    const found = await api.listModels().catch(() => null);
    // Without an answer the server's own choice is taken, as it would be without this page.
    if (!found || JSON.stringify(found) === JSON.stringify(choices)) return;
    const standard = found.models.find((one) => one.model === found.default.model);
    if (!standard) return;
    choices = found;
    fill(model, found.models.map((one) => one.model), {}, standard.model);
    offer(standard, found.default);
    tellChoice();
    show();
  }

  model.addEventListener('change', () => {
    const chosen = choices.models.find((one) => one.model === model.value);
    offer(chosen, model.value === choices.default.model ? choices.default : {});
  });
  box.addEventListener('change', tellChoice);
  store.watch(['view', 'online'], ({ view, online }) => { if (view === 'add' && online) read(); });

  return {
    /** Whether the collection that photos go into is a new one. */
    showFor(isNew) {
      wanted = isNew;
      show();
    },
    /** `{model, input, pooling}`, or null where there is nothing to choose. */
    chosen: () => (box.hidden ? null : asked()),
  };
}

function fill(select, values, words, chosen = values[0]) {
  select.replaceChildren(...values.map((value) => el('option', { value, selected: value === chosen }, words[value] ?? value)));
}
