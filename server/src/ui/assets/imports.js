// Imports of folders by the server itself, and copies of collections with shorter vectors. The server does the
// work and keeps the state; this module starts jobs, asks every half second how far they are, and finds the ones
// that were started elsewhere or before this page was opened.

import * as api from './api.js';
import { complain } from './messages.js';
import { isActive, putActivity } from './activities.js';
import { baseName } from './format.js';

const POLL_MILLIS = 500;
const AWAY_MILLIS = 2000;

export function createImports(store, { onProgress, onEnd }) {
  const followed = new Set();

  const activityId = (job) => `import-${job.id}`;

  function put(job, note = '') {
    putActivity(store, {
      id: activityId(job),
      kind: job.to ? 'reduction' : 'import',
      collection: target(job),
      source: job.to ? job.collection : job.folder,
      state: job.state,
      total: job.total ?? 0,
      done: job.done ?? 0,
      skipped: job.skipped ?? 0,
      failed: job.failed ?? [],
      failedCount: job.failedCount ?? job.failed?.length ?? 0,
      rate: job.rate ?? 0,
      eta: job.eta_s ?? null,
      note: note || job.message || '',
      cancel: () => cancel(job.id),
      resume: null,
    });
  }

  async function cancel(id) {
    try {
      await api.cancelJob(id);
    } catch (error) {
      complain(error);
    }
  }

  async function follow(first) {
    if (followed.has(first.id)) return;
    followed.add(first.id);
    let job = first;
    put(job);
    while (isActive(job)) {
      await sleep(store.get().online === false ? AWAY_MILLIS : POLL_MILLIS);
      job = await ask(job);
      put(job, job.trouble);
      onProgress(target(job));
    }
    onEnd(target(job));
  }

  /** The job's present state; a server that is away keeps the job as it was last seen. */
  async function ask(job) {
    try {
      return await api.getJob(job.id);
    } catch (error) {
      if (error.status === 404) return { ...job, state: 'failed', trouble: 'The server no longer knows this import.' };
      return { ...job, trouble: error.status === 0 ? 'Waiting for the server.' : '' };
    }
  }

  return {
    /** Starts an import; throws the server's reason when it refuses. */
    async start(collection, folder, descriptor) {
      follow(await api.startJob(collection, folder, descriptor));
    },
    /** Follows every job that runs on the server, whoever started it. */
    async discover() {
      const jobs = await api.listJobs().catch(() => []);
      for (const job of jobs) if (isActive(job)) follow(job);
    },
  };
}

/** The collection that a job fills: its own, or the copy that it makes. */
const target = (job) => job.to ?? job.collection;

/** A short name for a folder: its last part. */
export const folderName = (folder) => baseName(folder) || folder;

const sleep = (millis) => new Promise((resolve) => { setTimeout(resolve, millis); });
