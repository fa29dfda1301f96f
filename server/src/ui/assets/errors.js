// Turns every way a request can fail into words for a person: one class, one table of titles.
// The server's own sentence is always shown; the title says what kind of trouble it is.

/**
 * A request that failed. `status` is the HTTP status, 0 when no answer came at all; `data` is what the server
 * sent along with the error, if anything; `retryAfter` is in seconds.
 */
export class ApiError extends Error {
  constructor(message, { status = 0, code = 0, retryAfter = null, data = null } = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
    this.data = data;
  }

  /** True when the same request may succeed a little later. */
  get passing() {
    return [0, 429, 502, 503, 504].includes(this.status);
  }
}

const TITLES = {
  0: 'The server is not reachable',
  401: 'This server asks for a login',
  403: 'That is not allowed',
  404: 'Not found',
  408: 'That took too long',
  413: 'That is too large',
  415: 'That is not an image the server can read',
  429: 'The server is busy',
  502: 'The server is not reachable',
  503: 'The server is busy',
  504: 'That took too long',
  507: 'The server has no room left',
};

const FALLBACKS = {
  0: 'Check that it is still running. This page tries again by itself.',
  413: 'One request may carry 64 MiB.',
  503: 'Try again in a moment.',
  507: 'Free some space on its disk, then try again.',
};

/** Title and detail of any error, ready to be shown. */
export function describe(error) {
  const status = error instanceof ApiError ? error.status : null;
  if (status === null) return { title: 'Something went wrong on this page', detail: sentence(error?.message ?? String(error)) };
  const title = TITLES[status] ?? (status >= 500 ? 'The server ran into a problem' : 'That did not work');
  return { title, detail: sentence(error.message || FALLBACKS[status] || `The server answered with status ${status} and gave no reason.`) };
}

/** The error as one sentence, for places with room for only one. */
export function inWords(error) {
  const { title, detail } = describe(error);
  return error instanceof ApiError && error.status >= 400 && error.message ? detail : `${title}. ${detail}`;
}

/** Starts with a capital letter and ends with a full stop. */
export function sentence(text) {
  const trimmed = String(text).trim();
  if (!trimmed) return '';
  const capital = /^[a-z]+[ ,]/.test(trimmed) ? trimmed[0].toUpperCase() + trimmed.slice(1) : trimmed;
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
