// Words: making elements, and saying times and numbers as people do.

/** el makes an element: el('li', {class: 'x', onclick: f}, 'text', child). Text is never taken for markup. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.filter((c) => c !== undefined && c !== ''));
  return element;
}

/** long says a number of seconds: "40 s", "5 min", "2 h 10 min", "3 d". */
export function long(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 100) return `${s} s`;
  if (s < 6000) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`;
  return `${Math.round(s / 86400)} d`;
}

/** between is the time from one moment to another, in words. */
export const between = (from, to) => long((new Date(to) - new Date(from)) / 1000);

/** clock is the time of day where the reader is. */
export const clock = (t) => new Date(t).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });

/** count says "1 node", "3 nodes". */
export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

/** round is a number with at most one digit after the point. */
export const round = (x) => (x >= 100 ? Math.round(x) : Math.round(x * 10) / 10).toLocaleString();

/** owner and reason are the two tags that a sentence carries. */
export const owner = (name) => el('span', { class: `owner-tag ${name}` }, name);
export const reason = (name) => (name ? el('span', { class: 'reason' }, name) : '');

/** fill replaces what an element holds, or says that there is nothing. */
export function fill(element, items, none) {
  element.replaceChildren(...(items.length ? items : [el('li', { class: 'empty' }, none)]));
}
