/** The style of the page. Light and dark follow the reader's system. */
export const style = `
:root {
  color-scheme: light dark;
  --page: light-dark(#ffffff, #14161a);
  --panel: light-dark(#f6f7f9, #1c1f25);
  --ink: light-dark(#1d2330, #e4e7ec);
  --faint: light-dark(#667085, #98a1b0);
  --line: light-dark(#e3e6eb, #2d323b);
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1360px; padding: 3rem 2rem 4rem;
  background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -0.02em; margin: 0 0 .4rem; }
h2 { font-size: 1.2rem; letter-spacing: -0.01em; margin: 3rem 0 .3rem; }
h3 { font-size: .95rem; margin: 0 0 .5rem; }
p { margin: .3rem 0 1rem; max-width: 75ch; }
.faint { color: var(--faint); }
.legend {
  position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .5rem;
  padding: .8rem 0; background: var(--page); border-bottom: 1px solid var(--line); margin-top: 1rem;
}
.legend label {
  display: inline-flex; align-items: center; gap: .5rem; cursor: pointer; user-select: none;
  padding: .2rem .8rem .2rem .6rem; border: 1px solid var(--line); border-radius: 2rem; font-size: .9rem;
}
.legend label:has(:focus-visible) { outline: 2px solid var(--ink); }
.legend input { position: absolute; opacity: 0; pointer-events: none; }
.legend i { width: .8rem; height: .8rem; border-radius: 50%; background: var(--colour); }
.legend label:has(input:not(:checked)) { color: var(--faint); text-decoration: line-through; }
.legend label:has(input:not(:checked)) i { background: none; box-shadow: inset 0 0 0 2px var(--colour); }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, var(--least, 480px)), 1fr)); gap: 1.2rem; }
.narrow { --least: 300px; }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 12px; padding: 1rem 1.1rem; min-width: 0; }
.panel svg { display: block; width: 100%; height: auto; overflow: visible; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .5rem .7rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; font-size: .85rem; color: var(--faint); }
th:first-child, td:first-child { text-align: left; }
td:first-child { font-weight: 600; }
td i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; background: var(--colour); margin-right: .6rem; }
tbody tr:last-child td { border-bottom: 0; }
.filters img { image-rendering: pixelated; width: 100%; height: auto; display: block; border-radius: 4px; }
.note { border-left: 3px solid #d97706; padding: .1rem 0 .1rem 1rem; margin: 1rem 0; }
details { border-top: 1px solid var(--line); padding: .7rem 0; }
summary { cursor: pointer; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; margin: .8rem 0; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
code, pre { font: .85rem/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; overflow-x: auto; margin: .5rem 0 1rem; }
@media print { .legend { position: static; } }
`;
