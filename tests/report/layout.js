// Runs in a page that holds each report in a frame: finds text on top of text, text outside of its box, and pages wider
// than their window. Leaves one line a fault in <pre id="faults">.
const kSlack = 0.75;  // pixels: glyph boxes are rounded

const overlap = (a, b) =>
  Math.min(a.right, b.right) - Math.max(a.left, b.left) > kSlack && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > kSlack;
const inside = (a, b) =>
  a.left >= b.left - kSlack && a.right <= b.right + kSlack && a.top >= b.top - kSlack && a.bottom <= b.bottom + kSlack;
const shown = (r) => r.width > 0 && r.height > 0;
const words = (e) => e.textContent.trim().slice(0, 40);

// Line boxes of SVG text are higher than its letters: compare the middle 60 %.
function letters(e) {
  const r = e.getBoundingClientRect(), cut = r.height * 0.2;
  return {left: r.left, right: r.right, top: r.top + cut, bottom: r.bottom - cut, width: r.width, height: r.height - 2 * cut};
}

function pairs(items, fault) {
  items.sort((a, b) => a.box.left - b.box.left);
  for (let i = 0; i < items.length; ++i)
    for (let k = i + 1; k < items.length && items[k].box.left < items[i].box.right; ++k)
      if (overlap(items[i].box, items[k].box) && !items[i].e.contains(items[k].e) && !items[k].e.contains(items[i].e))
        fault(`"${words(items[i].e)}" and "${words(items[k].e)}" overlap`);
}

function checkSvg(svg, fault) {
  const frame = svg.getBoundingClientRect();
  if (!shown(frame)) return 0;
  const texts = [...svg.querySelectorAll('text')].map((e) => ({e, box: letters(e)}));
  for (const {e, box} of texts) {
    if (!inside(box, frame)) fault(`"${words(e)}" leaves the drawing`);
    const ground = e.previousElementSibling;
    if (e.getAttribute('text-anchor') === 'middle' && ground && ground.tagName === 'rect' && !inside(box, ground.getBoundingClientRect()))
      fault(`"${words(e)}" leaves its box`);
  }
  for (const e of svg.querySelectorAll('rect'))
    if (!inside(e.getBoundingClientRect(), frame)) fault('a box leaves the drawing');
  pairs(texts, fault);
  return texts.length;
}

function clipped(e) {
  let r = e.getBoundingClientRect();
  const scroll = e.closest('.scroll');
  if (!scroll) return r;
  const s = scroll.getBoundingClientRect();
  return {left: Math.max(r.left, s.left), right: Math.min(r.right, s.right), top: r.top, bottom: r.bottom,
          width: Math.min(r.right, s.right) - Math.max(r.left, s.left), height: r.height};
}

function checkFrame(frame) {
  const faults = [], page = frame.contentDocument, fault = (text) => faults.push(`${frame.title}: ${text}`);
  for (const details of page.querySelectorAll('details')) details.open = true;
  const root = page.documentElement;
  if (root.scrollWidth > root.clientWidth) fault(`${root.scrollWidth} pixels wide in a window of ${root.clientWidth}`);
  let texts = 0;
  for (const svg of page.querySelectorAll('svg')) texts += checkSvg(svg, fault);
  const blocks = [...page.querySelectorAll('h1,h2,h3,p,td,th,li,summary,figure')]
    .filter((e) => !e.closest('thead') || getComputedStyle(e.closest('thead')).position !== 'absolute')
    .map((e) => ({e, box: clipped(e)})).filter(({box}) => shown(box));
  pairs(blocks, fault);
  for (const {e, box} of blocks)
    if (box.right > root.clientWidth + kSlack || box.left < -kSlack) fault(`"${words(e)}" leaves the page`);
  return {faults, texts, blocks: blocks.length};
}

window.addEventListener('load', () => {
  const lines = [];
  for (const frame of document.querySelectorAll('iframe')) {
    const {faults, texts, blocks} = checkFrame(frame);
    lines.push(`checked ${frame.title}: ${texts} texts, ${blocks} blocks`, ...faults.slice(0, 10).map((f) => 'FAULT ' + f));
  }
  document.getElementById('faults').textContent = lines.join('\n') + '\n';
});
