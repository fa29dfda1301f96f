// The only module that talks to the server. Every call resolves with the `data` of the Milvus envelope or
// throws an ApiError that carries the server's own sentence. Ids are Int64 and may exceed 2^53: the server is
// asked to send them as strings, and whatever arrives as a large number is kept as its digits.

import { ApiError } from './errors.js';

/** The largest request body the server accepts, in bytes. */
export const MAX_BODY_BYTES = 64 * 1024 * 1024;

const path = (...parts) => '/' + parts.map(encodeURIComponent).join('/');

let reachability = () => {};

/** Registers the function that is told `true` or `false` after each request: did the server answer? */
export function onReachability(listener) {
  reachability = listener;
}

export const status = (signal) => call('GET', '/v1/status', { signal });
export const listModels = (signal) => call('GET', '/v1/models', { signal });
export const listCollections = (signal) => call('GET', '/v1/images', { signal });
export const dropCollection = (collectionName) =>
  call('POST', '/v2/vectordb/collections/drop', { json: { collectionName } });

/** One page of a collection's photos, most recent first. */
export async function browse(collection, { limit, offset, signal }) {
  const rows = await call('GET', `${path('v1', 'images', collection)}?limit=${limit}&offset=${offset}`, { signal });
  return rows.map(toPhoto);
}

/** The `limit` photos most like an image file (`{file}`) or like a stored photo (`{id}`). */
export async function search(collection, { file, id, limit, signal }) {
  const form = new FormData();
  form.append('limit', String(limit));
  if (file) form.append('file', file, file.name || 'pasted image');
  else form.append('id', id);
  const hits = await call('POST', `${path('v1', 'images', collection)}/search`, { form, signal });
  return hits.map(toPhoto);
}

/**
 * Adds files (`[{file, name}]`, one request) and resolves with `{ids, failed: [{name, reason}]}`. When not one
 * of them could be stored the server answers with an error, and the same object is the error's `data`. The descriptor
 * (`{model, input, pooling}` or null) is that of a new collection.
 */
export function upload(collection, files, { descriptor, signal }) {
  const form = new FormData();
  for (const { file, name } of files) form.append('file', file, name);
  const query = descriptor ? `?${new URLSearchParams(descriptor)}` : '';
  return call('POST', path('v1', 'images', collection) + query, { form, signal });
}

export const startJob = (collection, folder, descriptor) => call('POST', '/v1/jobs', { json: { collection, folder, ...descriptor } });
export const listJobs = () => call('GET', '/v1/jobs');
export const getJob = (id) => call('GET', path('v1', 'jobs', id));
export const cancelJob = (id) => call('POST', `${path('v1', 'jobs', id)}/cancel`, { json: {} });

async function call(method, url, { json, form, signal } = {}) {
  const headers = { Accept: 'application/json', 'Accept-Type-Allow-Int64': 'false' };
  if (json) headers['Content-Type'] = 'application/json';
  let response;
  let text;
  try {
    response = await fetch(url, { method, headers, body: json ? JSON.stringify(json) : form, signal, cache: 'no-store' });
    text = await response.text();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    reachability(false);
    throw new ApiError('', { status: 0 });
  }
  reachability(true);
  return unwrap(response, text);
}

function unwrap(response, text) {
  let body = null;
  try {
    body = JSON.parse(text, keepLargeIntegers);
  } catch {
    // Not JSON: a proxy's error page, for example. Judged by its status below.
  }
  if (response.ok && body && body.code === 0) return body.data;
  throw new ApiError(typeof body?.message === 'string' ? body.message : '', {
    status: response.ok ? 500 : response.status,
    code: body?.code ?? 0,
    retryAfter: Number(response.headers.get('Retry-After')) || null,
    data: body?.data ?? null,
  });
}

/** JSON.parse reviver: integers that a double cannot hold become strings of their digits. */
function keepLargeIntegers(_key, value, context) {
  const source = context?.source;
  return typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source ?? '') ? source : value;
}

/** A photo as the views use it; whatever the server leaves out gets a harmless value. */
function toPhoto(raw) {
  const id = String(raw.id);
  return {
    id,
    name: String(raw.name || id),
    width: Number(raw.width) || 0,
    height: Number(raw.height) || 0,
    url: sameOrigin(raw.url),
    thumb: sameOrigin(raw.thumb ?? raw.url),
    similarity: typeof raw.distance === 'number' ? raw.distance : null,
  };
}

/** Links of photos lead to this server or nowhere. */
function sameOrigin(link) {
  if (typeof link !== 'string') return '';
  const url = new URL(link, location.origin);
  return url.origin === location.origin ? url.href : '';
}
