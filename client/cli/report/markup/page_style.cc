#include "client/cli/report/markup/page_style.h"

namespace attune::cli {

Html PageStyle() {
  return Html(R"(
:root { --ground: #ffffff; --card: #f6f7f9; --ink: #1d2330; --soft: #5c6675; --line: #d9dee6; --good: 37 99 235; --bad: 217 83 25;
  --c0: #2563eb; --c1: #d95319; --c2: #16895a; --c3: #8b3fc4; --c4: #b07d00; --c5: #0e8a9c; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171d; --card: #1d222b; --ink: #e4e8ef; --soft: #97a1b0; --line: #343c49; --good: 84 140 255; --bad: 240 118 60;
    --c0: #6ea2ff; --c1: #ff9a5c; --c2: #4ccb95; --c3: #c58bf2; --c4: #e0b341; --c5: #4cc4d6; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 20px 48px; overflow-wrap: anywhere; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 36px 0 10px; border-bottom: 1px solid var(--line); padding-bottom: 4px; }
h3 { font-size: 16px; margin: 20px 0 6px; }
.result { font-size: 18px; margin: 4px 0 16px; }
.note, footer, small { color: var(--soft); font-size: 13px; } .note { margin: 4px 0 8px; } footer { margin-top: 40px; }
.state { font-size: 13px; font-weight: 600; padding: 2px 9px; border-radius: 10px; border: 1px solid currentColor; color: var(--c0); vertical-align: middle; }
.state.succeeded { color: var(--c2); } .state.failed { color: var(--c1); } .state.cancelled, .state.cancelling { color: var(--c4); }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 0 0 16px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 8px 14px; min-width: 110px; }
.tile b { display: block; font-size: 20px; } .tile span { color: var(--soft); font-size: 12px; }
.left-out { border-left: 3px solid var(--c4); padding: 2px 12px; margin: 12px 0; font-size: 14px; }
.left-out ul { margin: 2px 0; padding-left: 18px; }
.wide { overflow-x: auto; margin: 8px 0; }
table { border-collapse: collapse; font-size: 13.5px; }
th, td { text-align: left; padding: 3px 12px 3px 0; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th, .facts th { color: var(--soft); font-weight: 500; } .facts th { white-space: nowrap; padding-right: 20px; }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; }
.wide td, .wide th { min-width: 60px; }
.bar { display: inline-block; width: 110px; height: 9px; background: var(--line); border-radius: 2px; margin-right: 8px; }
.bar i { display: block; height: 100%; background: var(--c0); border-radius: 2px; }
.value { font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 14px 22px; }
.chart { margin: 0; } .chart svg { width: 100%; height: auto; max-width: 760px; display: block; } figcaption { font-size: 13.5px; }
.key { color: var(--soft); font-size: 12.5px; margin-left: 12px; white-space: nowrap; }
.key i { display: inline-block; width: 16px; height: 3px; margin-right: 5px; vertical-align: middle; background: var(--c); }
.s0 { --c: var(--c0); } .s1 { --c: var(--c1); } .s2 { --c: var(--c2); } .s3 { --c: var(--c3); } .s4 { --c: var(--c4); } .s5 { --c: var(--c5); }
.faint { opacity: .38; }
.line { fill: none; stroke: var(--c); stroke-width: 1.7; stroke-linejoin: round; } .line.faint { stroke-width: 1; } .dot { fill: var(--c); }
.ring { fill: none; stroke: var(--c); stroke-width: 2; } .fill { fill: var(--c); }
.grid { stroke: var(--line); stroke-width: 1; } .axis { stroke: var(--soft); stroke-width: 1; }
.mark { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 4 3; } .tick { fill: var(--soft); font-size: 11px; }
.matrix { font-variant-numeric: tabular-nums; } .wide .matrix td, .wide .matrix th { min-width: 0; }
.matrix td { text-align: center; padding: 3px 7px; min-width: 34px; border: 1px solid var(--line); vertical-align: middle; }
.matrix th { padding: 3px 8px; vertical-align: bottom; max-width: 260px; }
.matrix .column span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 160px; }
.matrix .corner { font-weight: 400; font-size: 12px; color: var(--soft); }
.matrix .right { background: rgb(var(--good) / var(--share)); } .matrix .wrong { background: rgb(var(--bad) / var(--share)); }
.matrix .deep { color: #fff; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 12px; }
.cards.images { grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; font-size: 13px; break-inside: avoid; }
.card img { display: block; height: 96px; width: auto; max-width: 100%; object-fit: contain; margin: 0 auto 8px; }
blockquote { margin: 0 0 6px; padding-left: 9px; border-left: 3px solid var(--line); } .predicted { color: var(--c1); } .label { color: var(--c2); }
.trained { color: var(--c2); } .partly { color: var(--c4); } .frozen { color: var(--soft); }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 10px 12px; overflow-x: auto; font-size: 12.5px; white-space: pre-wrap; }
pre.error { border-color: var(--c1); } summary { cursor: pointer; margin: 8px 0; }
@media print {
  :root { --ground: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #ccc; --good: 37 99 235; --bad: 217 83 25; --c0: #2563eb; --c1: #c2410c; --c2: #15803d; --c3: #7e22ce; --c4: #a16207; --c5: #0e7490; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } body { font-size: 12px; } main { max-width: none; padding: 0; }
  h2, h3 { break-after: avoid; } .chart, tr { break-inside: avoid; }
  .wide { overflow: visible; } .charts { grid-template-columns: 1fr 1fr; }
}
)");
}

}  // namespace attune::cli
