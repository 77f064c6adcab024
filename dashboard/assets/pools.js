// Pools as rows of nodes. A row is made once; what changes later is changed in place, so that a thousand nodes cost little.
import { count, el, place } from './words.js';

const rows = new Map();
let sought = []; // the words that a node or its pool has to hold to be shown
const marks = { autoscaler: 'A', healer: 'H', upgrader: 'U' };

/** show shows the pools in their order, and those cells that have changed. */
export function show(list, pools, cells, ask) {
  for (const [name, row] of rows) {
    if (!pools.some((p) => p.name === name)) {
      row.element.remove();
      rows.delete(name);
    }
  }
  list.querySelector(':scope > .empty')?.remove();
  let before = null;
  for (const pool of pools) {
    const row = rows.get(pool.name) ?? make(pool, ask);
    rows.set(pool.name, row);
    head(row, pool);
    if (cells[pool.name]) {
      draw(row, cells[pool.name], ask);
      sift(row);
    }
    if ((before ? before.nextSibling : list.firstChild) !== row.element) list.insertBefore(row.element, before ? before.nextSibling : list.firstChild);
    before = row.element;
  }
  if (pools.length === 0) list.replaceChildren(el('p', { class: 'empty' }, 'The provider has no pools.'));
}

function make(pool, ask) {
  const row = { cells: new Map(), zones: new Map(), none: el('span', { class: 'empty' }, 'no nodes') };
  row.sizes = el('p', { class: 'sizes' });
  row.problem = el('p', { class: 'problem', hidden: true });
  row.answers = el('div');
  row.box = el('div', { class: 'cells', role: 'group', 'aria-label': `Nodes of pool ${pool.name}` });
  row.box.addEventListener('keydown', (event) => walk(row, event));
  row.name = pool.name.toLowerCase();
  row.element = el('article', { class: 'pool', 'aria-label': `Pool ${pool.name}` },
    el('div', { class: 'head' }, el('h3', {}, el('button', { type: 'button', onclick: () => ask('pool', pool.name) }, pool.name)), row.sizes),
    row.box, row.problem, row.answers);
  return row;
}

/** head says how large the pool is, and what is going on with it as a whole. */
function head(row, pool) {
  const size = el('b', {}, pool.desired === pool.target ? `${pool.target}` : `${pool.target} → ${pool.desired}`);
  const parts = [`${pool.ready} ready`];
  for (const state of ['starting', 'sick', 'leaving']) if (pool[state]) parts.push(`${pool[state]} ${state}`);
  if (pool.behind) parts.push(`${pool.behind} not ${pool.version}`);
  else if (pool.version) parts.push(pool.version);
  row.sizes.replaceChildren(size, ` of ${pool.min}–${pool.max} · ${parts.join(' · ')}`);
  row.problem.hidden = !pool.problem;
  row.problem.textContent = pool.problem ? `The provider can't be asked: ${pool.problem}` : '';
  const answers = (pool.answers ?? []).filter((a) => !/: (Current|UpgradeOff|HealOff|AutoscaleOff|NoTargetVersion)\b/.test(a));
  if (pool.backoff) answers.unshift(`not asked to grow ${pool.backoff}`);
  row.answers.replaceChildren(...answers.map((a) => el('p', { class: 'answer' }, a)));
}

function draw(row, cells, ask) {
  const fresh = new Set(cells.map((c) => c.n));
  for (const [name, cell] of row.cells) {
    if (fresh.has(name)) continue;
    const focused = cell === document.activeElement;
    cell.remove();
    row.cells.delete(name);
    if (focused) row.box.querySelector('.cell:not([hidden])')?.focus();
  }
  let zone = null;
  const order = [];
  const zones = new Set(cells.map((c) => c.z ?? '')).size > 1;
  for (const c of cells) {
    if (zones && (c.z ?? '') !== zone) {
      zone = c.z ?? '';
      if (!row.zones.has(zone)) row.zones.set(zone, el('span', { class: 'zone' }, zone || 'no zone'));
      order.push(row.zones.get(zone));
    }
    let cell = row.cells.get(c.n);
    if (!cell) {
      cell = el('button', { type: 'button', tabindex: '-1', onclick: () => ask('node', c.n) }, el('i'), el('b', { 'aria-hidden': 'true' }));
      row.cells.set(c.n, cell);
    }
    paint(cell, c);
    order.push(cell);
  }
  place(row.box, order.length ? order : [row.none]);
}

/** find shows only the nodes of which all words are said, and the pools that have such; it gives the number of those nodes. */
export function find(text) {
  sought = text.toLowerCase().split(/\s+/).filter(Boolean);
  return [...rows.values()].reduce((n, row) => n + sift(row), 0);
}

function sift(row) {
  let shown = 0;
  const left = sought.filter((w) => !row.name.includes(w));
  for (const cell of row.cells.values()) {
    const says = cell.getAttribute('aria-label').toLowerCase();
    cell.hidden = !left.every((w) => says.includes(w));
    if (!cell.hidden) shown++;
  }
  row.element.hidden = sought.length > 0 && shown === 0 && left.length > 0;
  const stop = row.box.querySelector('.cell[tabindex="0"]');
  if (!stop || stop.hidden) {
    if (stop) stop.tabIndex = -1;
    row.box.querySelector('.cell:not([hidden])')?.setAttribute('tabindex', '0');
  }
  return shown;
}

/** paint makes a cell look like its node, and says it to those who don't see it. */
function paint(cell, c) {
  const key = JSON.stringify(c);
  if (cell.dataset.key === key) return;
  cell.dataset.key = key;
  cell.className = `cell ${c.s}${c.b ? ' old' : ''}`;
  cell.firstChild.style.height = `${c.s === 'starting' ? 0 : c.u}%`;
  cell.lastChild.textContent = marks[c.o] ?? (c.c ? '–' : '');
  const words = [c.n, c.s, `${c.u}% used`];
  if (c.o) words.push(`${c.o}: ${c.p}`);
  if (c.c && !c.o) words.push('cordoned');
  if (c.b) words.push('old version');
  if (c.z) words.push(c.z);
  cell.setAttribute('aria-label', words.join(', '));
  cell.title = words.join('\n');
}

/** walk moves among the nodes of a pool by the arrow keys: only one of them is a tab stop. */
function walk(row, event) {
  const all = [...row.box.querySelectorAll('.cell:not([hidden])')];
  const at = all.indexOf(document.activeElement);
  const wide = Math.max(1, all.filter((c) => c.offsetTop === all[0]?.offsetTop).length);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + wide, ArrowUp: at - wide, Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined || at < 0 || !all[to]) return;
  event.preventDefault();
  all[at].tabIndex = -1;
  all[to].tabIndex = 0;
  all[to].focus();
}

/** summary is the pools in one sentence, for the page's title. */
export const summary = (pools) => `${count(pools.reduce((n, p) => n + p.ready, 0), 'node')} ready`;
