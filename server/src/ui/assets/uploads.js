// Sends files to a collection in small requests, two at a time, so that progress is live and one bad file
// costs little. A busy or unreachable server is asked again; when that does not help, the upload pauses and
// can be resumed, and no file is forgotten.

import * as api from './api.js';
import { ApiError, inWords } from './errors.js';
import { isActive, putActivity } from './activities.js';
import { photos } from './format.js';

const FILES_PER_REQUEST = 8;
const BYTES_PER_REQUEST = 16 * 1024 * 1024;
const REQUESTS_IN_FLIGHT = 2;
const TRIES = 7;
const LONGEST_PAUSE_SECONDS = 8;
/** Room for the multipart framing around the largest file. */
const LARGEST_FILE = api.MAX_BODY_BYTES - 64 * 1024;

let uploads = 0;

/** Starts an upload of `[{file, name}]`; `onAdded` is called when it ends, however it ends. */
export function startUpload(store, { collection, files, descriptor = null, skipped = 0, onAdded }) {
  const abort = new AbortController();
  const queue = batches(files.filter(({ file }) => file.size <= LARGEST_FILE));
  const tooLarge = files.filter(({ file }) => file.size > LARGEST_FILE).map(({ name }) => ({ name, reason: 'It is larger than 64 MiB.' }));
  let begun = performance.now();
  let doneBefore = tooLarge.length;
  let activity = {
    id: `upload-${(uploads += 1)}`,
    kind: 'upload',
    collection,
    source: files.length === 1 ? files[0].name : photos(files.length),
    state: 'running',
    total: files.length,
    done: tooLarge.length,
    skipped: 0,
    failed: tooLarge,
    failedCount: tooLarge.length,
    rate: 0,
    eta: null,
    note: skipped ? `${skipped} ${skipped === 1 ? 'file that is' : 'files that are'} no images skipped` : '',
    cancel: async () => {
      abort.abort();
      if (isActive(activity)) update({ state: 'cancelled' });
      onAdded(collection);
    },
    resume: () => {
      begun = performance.now();
      doneBefore = activity.done;
      update({ state: 'running', note: '' });
      return run();
    },
  };

  function update(patch) {
    activity = { ...activity, ...patch };
    putActivity(store, activity);
  }

  function settle(batch, failed) {
    const done = activity.done + batch.length;
    const rate = (done - doneBefore) / Math.max(0.001, (performance.now() - begun) / 1000);
    update({
      done,
      rate,
      eta: (activity.total - done) / rate,
      failed: [...activity.failed, ...failed],
      failedCount: activity.failedCount + failed.length,
    });
  }

  async function worker() {
    while (queue.length > 0 && activity.state === 'running') {
      const batch = queue.shift();
      try {
        settle(batch, (await sendPatiently(collection, batch, { descriptor, signal: abort.signal })).failed);
      } catch (error) {
        if (abort.signal.aborted) return;
        const refused = refusals(error, batch);
        if (refused) {
          settle(batch, refused);
        } else if (isRefusal(error) && batch.length > 1) {
          queue.unshift(...batch.map((one) => [one])); // one of them is the culprit: ask about each
        } else if (descriptor && error.status === 409) {
          update({ state: 'failed', note: inWords(error) }); // made by somebody else meanwhile: to ask again would not help
        } else {
          queue.unshift(batch);
          update({ state: 'paused', note: inWords(error) });
        }
      }
    }
  }

  async function run() {
    await Promise.all(Array.from({ length: REQUESTS_IN_FLIGHT }, worker));
    if (activity.state === 'running') update({ state: 'done' });
    onAdded(collection);
  }

  update({});
  return run();
}

/** A request that this very content will never pass, whenever it is sent. */
const isRefusal = (error) => error instanceof ApiError && [400, 413, 415, 422].includes(error.status);

/** The reason for each file of a batch, when the server or the size of the batch makes that plain; else null. */
function refusals(error, batch) {
  if (!isRefusal(error)) return null;
  const listed = error.data?.failed ?? [];
  if (listed.length === batch.length) return listed;
  return batch.length === 1 ? [{ name: batch[0].name, reason: inWords(error) }] : null;
}

/** Sends one batch; waits and repeats while the server is busy or away. */
async function sendPatiently(collection, batch, { descriptor, signal }) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await api.upload(collection, batch, { descriptor, signal });
    } catch (error) {
      if (!(error instanceof ApiError) || !error.passing || attempt === TRIES) throw error;
      const wait = Math.max(error.retryAfter ?? 0, Math.min(LONGEST_PAUSE_SECONDS, 2 ** (attempt - 1) / 2));
      await pause(wait * 1000, signal);
    }
  }
}

function pause(millis, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, millis);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

/** Groups files into requests that stay below the limits on number and size. */
function batches(files) {
  const groups = [];
  let group = [];
  let bytes = 0;
  for (const one of files) {
    if (group.length === FILES_PER_REQUEST || (group.length > 0 && bytes + one.file.size > BYTES_PER_REQUEST)) {
      groups.push(group);
      group = [];
      bytes = 0;
    }
    group.push(one);
    bytes += one.file.size;
  }
  if (group.length > 0) groups.push(group);
  return groups;
}
