// The few choices that this browser remembers between visits: theme and number of results.
// Storage may be blocked by the person's settings; a choice then lasts until the page closes.

const PREFIX = 'elanus.';

/** The remembered text, or null. */
export function recall(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

export function remember(name, text) {
  try {
    localStorage.setItem(PREFIX + name, text);
  } catch {
    // See above: nothing is lost but the memory of the choice.
  }
}
