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

/**
 * fill shows the items, or says that there is nothing. An item that says what it said stays as it is, and where one is made anew the focus stays at its
 * place: whoever is there by keyboard or screen reader must not be thrown off by news, every second.
 */
export function fill(element, items, none) {
  const wanted = items.length ? items : [el('li', { class: 'empty' }, none)];
  wanted.forEach((item, i) => {
    const old = element.children[i];
    if (!old) element.append(item);
    else if (!old.isEqualNode(item)) {
      const at = [...old.querySelectorAll('button, a')].indexOf(document.activeElement);
      old.replaceWith(item);
      if (at >= 0) item.querySelectorAll('button, a')[at]?.focus({ preventScroll: true });
    }
  });
  while (element.children.length > wanted.length) element.lastElementChild.remove();
}

/** place makes the elements the only children of a box, in their order, and touches none that stands where it has to. */
export function place(box, order) {
  const wanted = new Set(order);
  for (const child of [...box.childNodes]) if (!wanted.has(child)) child.remove();
  let at = box.firstChild;
  for (const element of order) {
    if (element === at) at = at.nextSibling;
    else box.insertBefore(element, at);
  }
}
