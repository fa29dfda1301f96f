// Numbers, times and names as people read them. Pure functions, used by every view.

const whole = new Intl.NumberFormat('en');

/** 12,345 */
export const count = (number) => whole.format(number);

/** "1 photo", "850 photos" */
export const photos = (number) => `${count(number)} ${number === 1 ? 'photo' : 'photos'}`;

/** "0.873"; a bigger number is more alike, 1.000 is the same picture. */
export const similarity = (value) => (Math.abs(value) < 0.0005 ? 0 : value).toFixed(3);

/** "58 photos/s", or with one digit below ten. */
export function rate(perSecond) {
  return `${perSecond >= 10 ? count(Math.round(perSecond)) : perSecond.toFixed(1)} photos/s`;
}

/** "7 s left", "3 min left", "1 h 5 min left" */
export function timeLeft(seconds) {
  if (seconds < 1) return 'almost done';
  if (seconds < 60) return `${Math.ceil(seconds)} s left`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min left`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}

/** "4 s", "3 min 20 s", "2 days 3 h" */
export function duration(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  const days = Math.floor(s / 86400);
  return `${days} ${days === 1 ? 'day' : 'days'} ${Math.floor((s % 86400) / 3600)} h`;
}

/** The last part of a path: "2008/beach.jpg" becomes "beach.jpg". */
export const baseName = (name) => name.split(/[\\/]/).filter(Boolean).pop() ?? name;
