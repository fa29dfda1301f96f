// Keeps the page in step with the server: asks for its status every 15 seconds, and every 2 seconds while it
// does not answer or still loads its model. After an outage everything that may have changed is loaded again, once.

import * as api from './api.js';
import { isLoading } from './statuscard.js';

const CALM_MILLIS = 15000;
const SOON_MILLIS = 2000;
const PATIENCE_MILLIS = 8000;

export function startPulse(store, { onBeat, onReturn }) {
  let timer = 0;
  let beating = false;

  function schedule(millis) {
    clearTimeout(timer);
    timer = setTimeout(beat, millis);
  }

  async function beat() {
    if (beating) return;
    beating = true;
    const wasAway = store.get().online === false;
    try {
      store.set({ status: await api.status(AbortSignal.timeout(PATIENCE_MILLIS)), online: true });
      await (wasAway ? onReturn() : onBeat());
    } catch (error) {
      // An answer with an error status still is an answer; only silence means away.
      if (!error.status) store.set({ online: false });
    }
    beating = false;
    const { online, status } = store.get();
    schedule(online && status && !isLoading(status) ? CALM_MILLIS : SOON_MILLIS);
  }

  api.onReachability((reachable) => {
    if (reachable || store.get().online === false) return;
    store.set({ online: false });
    schedule(SOON_MILLIS);
  });
  document.addEventListener('visibilitychange', () => { if (!document.hidden) beat(); });
  return beat();
}
