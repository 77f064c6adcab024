// The chart: what the ready nodes have to give, what the pods request, and how many nodes there are, over time.
import { clock, el, round } from './words.js';

const svg = (name, attributes) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

/** nice is the next number at or above x whose quarters are round. */
function nice(x) {
  const power = 10 ** Math.floor(Math.log10(Math.max(x, 1e-9)));
  return [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10].map((f) => f * power).find((v) => v >= x);
}

/** draw draws the samples of the last hours into the figure. */
export function draw(figure, samples, hours) {
  const width = Math.max(280, figure.clientWidth), height = figure.clientHeight || 190;
  const left = 34, right = 30, top = 6, bottom = 18;
  if (samples.length < 2) {
    figure.replaceChildren(el('p', { class: 'empty' }, 'The chart begins with the second sample, in about ten seconds.'));
    figure.setAttribute('aria-label', 'No samples yet');
    return;
  }
  const end = +new Date(samples.at(-1).t), begin = Math.max(end - hours * 3600e3, +new Date(samples[0].t));
  const most = nice(1.05 * Math.max(...samples.map((s) => Math.max(s.capacity, s.demand)), 1));
  const mostNodes = nice(1.3 * Math.max(...samples.map((s) => s.nodes), 1));
  const x = (t) => left + ((+new Date(t) - begin) / Math.max(1, end - begin)) * (width - left - right);
  const y = (v, of = most) => top + (1 - v / of) * (height - top - bottom);

  // Sizes change at once: steps, not slopes.
  const steps = (key, of) => samples.map((s, i) => `${i ? `H${x(s.t).toFixed(1)}V` : `M${x(s.t).toFixed(1)},`}${y(s[key], of).toFixed(1)}`).join('');
  const picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true' });
  for (let i = 0; i <= 4; i++) {
    const v = (most * i) / 4;
    picture.append(svg('line', { class: 'grid', x1: left, x2: width - right, y1: y(v), y2: y(v) }));
    const label = svg('text', { x: left - 6, y: y(v) + 4, 'text-anchor': 'end' });
    label.textContent = round(v);
    picture.append(label);
    const nodes = svg('text', { x: width - right + 6, y: y(v) + 4 });
    nodes.textContent = round((mostNodes * i) / 4);
    picture.append(nodes);
  }
  // Marks stand at round times of the reader's clock, as many as there is room for.
  const apart = [30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400].map((s) => s * 1e3).find((s) => (end - begin) / s <= width / 110) ?? 28800e3;
  const shift = new Date(begin).getTimezoneOffset() * 60e3;
  for (let t = Math.ceil((begin - shift) / apart) * apart + shift; t <= end; t += apart) {
    const label = svg('text', { x: Math.min(Math.max(x(t), left + 14), width - right - 14), y: height - 2, 'text-anchor': 'middle' });
    label.textContent = clock(t).slice(0, apart < 60e3 ? 8 : 5);
    picture.append(label);
  }
  picture.append(
    svg('path', { class: 'capacity', d: `${steps('capacity')}V${y(0)}H${x(samples[0].t).toFixed(1)}Z` }),
    svg('path', { class: 'nodes', d: steps('nodes', mostNodes) }),
    svg('path', { class: 'demand', d: steps('demand') }),
  );
  figure.replaceChildren(picture);
  point(figure, picture, samples, x, { top, bottom: height - bottom });

  const last = samples.at(-1);
  figure.setAttribute('aria-label', `Over the time shown, pods requested between ${round(Math.min(...samples.map((s) => s.demand)))} and `
    + `${round(Math.max(...samples.map((s) => s.demand)))} CPUs; now ${round(last.demand)} of the ${round(last.capacity)} CPUs of ${last.ready} ready nodes, with ${last.pending} pods waiting.`);
}

/** point tells the figures of the moment under the pointer. */
function point(figure, picture, samples, x, span) {
  let tip, cross;
  figure.onpointermove = (event) => {
    const at = event.clientX - figure.getBoundingClientRect().left;
    const s = samples.reduce((best, s) => (Math.abs(x(s.t) - at) < Math.abs(x(best.t) - at) ? s : best));
    tip ??= figure.appendChild(el('div', { class: 'tip' }));
    cross ??= picture.appendChild(svg('line', { class: 'cross', y1: span.top, y2: span.bottom }));
    cross.setAttribute('x1', x(s.t));
    cross.setAttribute('x2', x(s.t));
    tip.textContent = `${clock(s.t)}\n${round(s.demand)} of ${round(s.capacity)} CPUs requested\n${s.ready} of ${s.nodes} nodes ready\n${s.pending} pods wait`;
    tip.style.left = `${Math.min(x(s.t) + 10, figure.clientWidth - tip.offsetWidth - 4)}px`;
  };
  figure.onpointerleave = () => {
    tip?.remove();
    cross?.remove();
    tip = cross = undefined;
  };
}
