// The page: it hears of changes, and shows them. Nothing here decides or writes anything.
import { draw } from './chart.js';
import { find, show, summary } from './pools.js';
import { between, clock, count, el, fill, owner, place, reason, round } from './words.js';

const $ = (id) => document.getElementById(id);
const decisionsMost = 2000;
let status, leading = false, hours = 1, samples = [], decisions = [];
const lines = new Map(); // the elements of decisions, by number: made once

// --- what is heard

const stream = new EventSource('/dashboard/stream');
stream.addEventListener('frame', (event) => {
  const news = JSON.parse(event.data);
  leading = news.leading && !!news.status;
  if (!leading) {
    status = undefined;
    stand(news.leading ? 'This replica leads, and has not looked at the cluster yet.'
      : `This replica stands by${news.leader ? `; ${news.leader} leads` : ''}. Only the leader has a plan.`);
    return;
  }
  status = news.status;
  render(news.cells ?? {});
});
stream.addEventListener('told', (event) => {
  const fresh = JSON.parse(event.data);
  if (decisions.length && fresh[0].seq <= decisions.at(-1).seq) { // another life of the daemon
    decisions = [];
    lines.clear();
  }
  decisions = decisions.concat(fresh).slice(-decisionsMost);
  for (const seq of lines.keys()) if (seq < decisions[0].seq) lines.delete(seq);
  history();
});
stream.onerror = () => stand('The connection is lost; trying again…');

/** stand says how things are with this page; a screen reader tells it, so that it must not change with the time. */
function stand(text, live = false) {
  if ($('standing').textContent !== text) $('standing').textContent = text;
  $('connection').classList.toggle('live', live);
  $('looked').textContent = live ? ` · looked at ${clock(status.time)}` : '';
}

setInterval(() => {
  if (leading && stream.readyState === EventSource.OPEN) stand(standing(), true);
}, 1000);

const standing = () => [status.leader && `${status.leader} leads`, status.version].filter(Boolean).join(' · ');

// --- what is shown

function render(cells) {
  document.documentElement.dataset.time = status.time;
  stand(standing(), true);
  $('mode').hidden = !status.mode;
  $('mode').textContent = { observe: 'observe: nothing is changed', protect: 'protect: adds and repairs', act: 'act' }[status.mode] ?? status.mode;
  $('mode').className = `badge ${status.mode}`;
  const breakers = status.breakers ?? [];
  $('alarm').hidden = breakers.length === 0;
  if (breakers.length) fill($('alarm'), breakers.map((b) => el('p', {}, el('b', {}, `Breaker of ${b.scope} open since ${clock(b.since)}: `), b.message ?? '')));
  show($('pool-list'), status.pools ?? [], cells, ask);
  if ($('find').value) seek();
  document.title = `${breakers.length ? '⚠ ' : ''}${summary(status.pools ?? [])} · Poolkeeper`;
  now();
  held();
  waiting();
  incidents();
  rollouts();
}

const node = (name) => el('button', { type: 'button', class: 'link', onclick: () => ask('node', name) }, name);
const pool = (name) => el('button', { type: 'button', class: 'link', onclick: () => ask('pool', name) }, name);
const why = (...text) => el('div', { class: 'why' }, ...text);
const because = (x) => [reason(x.reason), x.message ? ` ${x.message}` : ''];

function now() {
  const claims = (status.claims ?? []).map((c) => el('li', {}, owner(c.owner), ' ',
    { Surging: 'waits for the node that replaces ', Draining: 'moves the pods off ', Deleting: 'deletes the instance of ', Refilling: 'waits for the new node for ', Aborting: 'undoes its work on ' }[c.phase] ?? `${c.phase} `,
    node(c.node), c.replacement ? ' (new: ' : '', c.replacement ? node(c.replacement) : '', c.replacement ? ')' : '',
    `, since ${between(c.phaseSince ?? c.since, status.time)}`, why(...because(c), c.trouble ? `; trouble: ${c.trouble}` : '')));
  const operations = (status.operations ?? []).map((o) => el('li', {}, 'pool ', pool(o.pool), ` grows ${o.from} → ${o.to}, ${o.state.toLowerCase()} ${between(o.since, status.time)} ago`, why(...because(o))));
  fill($('now'), [...operations, ...claims], 'Nothing is under way.');
}

function held() {
  const verbs = { Grow: 'growing', Remove: 'removing', Replace: 'replacing', Clean: 'cleaning up', SetVersion: 'setting the version of', UpgradeNatively: 'the provider’s upgrade of' };
  fill($('held'), (status.held ?? []).map((h) => el('li', {}, owner(h.owner), ` ${verbs[h.action] ?? h.action} `, ...(h.nodes?.length ? some(h.nodes, node, h.count) : ['pool ', pool(h.pool)]),
    why(...because(h), h.until ? `; until ${clock(h.until)}` : ''), h.remedy ? el('div', { class: 'why' }, h.remedy) : '')), 'Nothing is held back.');
}

function waiting() {
  fill($('waiting'), (status.waitingPods ?? []).map((w) => el('li', {}, `${count(w.count, 'pod')}: `, ...some(w.pods, (p) => el('button', { type: 'button', class: 'link', onclick: () => ask('pod', p) }, p), w.count),
    why(...because(w)), ...(w.pools ?? []).slice(0, 4).map((p) => why(p)))), 'No pod waits.');
}

function incidents() {
  fill($('incidents'), (status.incidents ?? []).map((i) => el('li', {}, node(i.node), ` is ${i.state.toLowerCase()} since ${between(i.since, status.time)} `, reason(i.sign))), 'Every node is well.');
}

function rollouts() {
  fill($('rollouts'), (status.rollouts ?? []).map((r) => {
    const p = (status.pools ?? []).find((p) => p.name === r.pool);
    const all = p ? p.ready + p.starting + p.sick + p.leaving : 0;
    const bar = p && all ? [el('progress', { max: all, value: all - (p.behind ?? 0), 'aria-label': `Upgrade of pool ${r.pool}` }), why(`${all - (p.behind ?? 0)} of ${count(all, 'node')} done`)] : [];
    return el('li', {}, 'pool ', pool(r.pool), ` to ${r.target}: ${r.state.toLowerCase()} since ${between(r.since, status.time)}`, ...bar, r.reason ? why(...because(r)) : '');
  }), 'No upgrade is open.');
}

/** some shows the first three, and counts the rest. */
function some(names, make, all = names.length) {
  const shown = names.slice(0, 3).flatMap((n, i) => (i ? [', ', make(n)] : [make(n)]));
  return all > 3 ? [...shown, ` and ${all - 3} more`] : shown;
}

// --- the decisions

function history() {
  const form = new FormData($('filter'));
  const owners = new Set(form.getAll('owner'));
  const words = `${form.get('text')}`.toLowerCase().split(/\s+/).filter(Boolean);
  const linked = location.hash.match(/^#decision=(\d+)$/)?.[1];
  const shown = decisions.filter((d) => owners.has(d.owner) || `${d.seq}` === linked)
    .filter((d) => words.every((w) => `${d.owner} ${d.text} ${d.reason} ${d.pool ?? ''} ${d.node ?? ''}`.toLowerCase().includes(w)));
  const items = shown.slice(-400).reverse().map((d) => {
    if (!lines.has(d.seq)) lines.set(d.seq, line(d));
    const item = lines.get(d.seq);
    item.classList.toggle('linked', `${d.seq}` === linked);
    return item;
  });
  place($('history'), items.length ? items : [el('li', { class: 'empty' }, decisions.length ? 'No decision holds these words.' : 'Nothing has been decided yet.')]);
}

const line = (d) => el('li', { class: d.warning ? 'warning' : '', id: `d${d.seq}` },
  el('a', { href: `#decision=${d.seq}`, title: 'Link to this decision' }, el('time', { datetime: d.time }, clock(d.time))), owner(d.owner),
  el('span', { class: 'text' }, d.text, ' ', reason(d.reason)));

$('filter').addEventListener('input', history);
$('filter').addEventListener('submit', (event) => event.preventDefault());

// --- finding a node

function seek() {
  const text = $('find').value;
  const n = find(text);
  $('found').textContent = text.trim() ? count(n, 'node') : '';
}
$('find').addEventListener('input', seek);
$('find').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' && event.key !== 'ArrowDown') return;
  event.preventDefault(); // or the node that gets the focus would be pressed by the same key
  document.querySelector('#pool-list .pool:not([hidden]) .cell:not([hidden])')?.focus();
});

// --- questions

async function ask(kind, name) {
  history_.push(kind, name);
  await answer(kind, name);
}
const history_ = { push: (kind, name) => window.history.replaceState(null, '', `#${kind}=${encodeURIComponent(name)}`) };

async function answer(kind, name) {
  $('answer-title').textContent = `${kind} ${name}`;
  $('answer-body').replaceChildren(el('p', { class: 'empty' }, 'Asking…'));
  if (!$('answer').open) $('answer').showModal();
  try {
    const response = await fetch(`/explain?kind=${kind}&name=${encodeURIComponent(name)}`);
    if (!response.ok) throw new Error(response.status === 503 ? 'This replica has no plan now.' : await response.text());
    const a = await response.json();
    $('answer-body').replaceChildren(
      ...a.facts.map((f) => el('p', {}, f)),
      ...(a.words ?? []).map((w) => el('div', { class: `word ${w.owner}` }, el('p', {}, owner(w.owner), ': ', w.text, ' ', reason(w.reason)),
        w.details ? el('ul', {}, ...w.details.slice(0, 50).map((d) => el('li', {}, d))) : '',
        w.due ? el('p', { class: 'why' }, `looks again at ${clock(w.due)}`) : '', w.remedy ? el('p', { class: 'remedy' }, w.remedy) : '')),
      el('p', { class: 'empty' }, `As of ${clock(a.time)}.`));
  } catch (error) {
    $('answer-body').replaceChildren(el('p', {}, error.message));
  }
}
$('close').addEventListener('click', () => $('answer').close());
$('answer').addEventListener('click', (event) => event.target === $('answer') && $('answer').close());
$('answer').addEventListener('close', () => window.history.replaceState(null, '', location.pathname));

function follow() {
  const [, kind, name] = location.hash.match(/^#(node|pool|pod)=(.+)$/) ?? [];
  if (kind) answer(kind, decodeURIComponent(name));
  if (location.hash.startsWith('#decision=')) {
    history();
    document.querySelector('.linked')?.scrollIntoView({ block: 'center' });
  }
}
window.addEventListener('hashchange', follow);
follow();

// --- the chart

async function course() {
  try {
    const response = await fetch(`/dashboard/course?since=${encodeURIComponent(new Date((status ? +new Date(status.time) : Date.now()) - hours * 3600e3).toISOString())}`);
    if (response.ok) samples = await response.json();
  } catch { /* the stream says that the connection is lost */ }
  draw($('chart'), samples, hours);
  const last = samples.at(-1);
  const figure = (name, value, small) => el('div', {}, el('dt', {}, name), el('dd', {}, value, ' ', el('small', {}, small)));
  $('figures').replaceChildren(...(last ? [
    figure('requested', `${round(last.demand)}`, `of ${round(last.capacity)} CPUs`),
    figure('nodes ready', `${last.ready}`, `of ${last.nodes}`),
    figure('pods wait', `${last.pending}`, ''),
  ] : []));
}
for (const button of document.querySelectorAll('[data-hours]')) {
  button.addEventListener('click', () => {
    hours = +button.dataset.hours;
    document.querySelectorAll('[data-hours]').forEach((b) => b.setAttribute('aria-pressed', `${b === button}`));
    course();
  });
}
new ResizeObserver(() => draw($('chart'), samples, hours)).observe($('chart'));
setTimeout(course, 300);
setInterval(course, 5000);
