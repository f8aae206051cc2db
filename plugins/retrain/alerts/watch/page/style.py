"""The look of the page: one style sheet, in light and dark, for phones and desks. Every text has a contrast of 4.5 or more."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1b1f24; --faint: #57606a; --line: #d5dae0;
  --link: #0a58b0; --code: #eef1f4; --bad: #a4161a; --bad-soft: #fdecec; --look: #7a4b00; --look-soft: #fdf3dc;
  --good: #14652f; --good-soft: #e5f5ea; --calm: #3d4a5c; --calm-soft: #e9edf2; }
@media (prefers-color-scheme: dark) { :root { --page: #14171b; --card: #1d2127; --text: #e4e7eb; --faint: #a2abb6;
  --line: #373e47; --link: #86b9f7; --code: #2a3038; --bad: #ff9d9a; --bad-soft: #3d1f20; --look: #f0c36d;
  --look-soft: #38301c; --good: #85d8a0; --good-soft: #1b3325; --calm: #b6c2d1; --calm-soft: #2a313a; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere; }
header, main, footer { max-width: 68rem; margin: 0 auto; padding: 0 1rem; }
a { color: var(--link); text-underline-offset: .15em; } a:hover { text-decoration-thickness: 2px; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 3px; }
.skip { position: absolute; left: -999px; } .skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .5rem; z-index: 1; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1.5rem; padding-top: .9rem; padding-bottom: .7rem; }
header .site { font-size: 1.15rem; font-weight: 650; margin: 0; } header .site a { color: inherit; text-decoration: none; }
header nav ul { display: flex; flex-wrap: wrap; gap: 0 .9rem; list-style: none; margin: 0; padding: 0; }
header nav a { display: inline-block; padding: .25rem 0; font-size: .95rem; }
h1 { font-size: 1.45rem; line-height: 1.3; margin: 0 0 .35rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .7rem; }
h3 { font-size: 1.06rem; line-height: 1.35; margin: 0 0 .3rem; } h4 { font-size: 1rem; margin: 0; }
h2 .count { color: var(--faint); font-weight: 400; }
p { margin: .45rem 0; } ul { margin: .45rem 0; padding-left: 1.2rem; }
small, .faint { color: var(--faint); font-size: .9rem; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .88em; background: var(--code); border-radius: 4px; }
code { padding: .1em .3em; } pre { padding: .6rem .7rem; margin: .45rem 0; white-space: pre-wrap; } pre code { padding: 0; background: none; font-size: 1em; }
.verdict { border-radius: 10px; padding: 1rem 1.15rem; background: var(--good-soft); border: 1px solid var(--good); margin-top: .3rem; }
.verdict.bad { background: var(--bad-soft); border-color: var(--bad); } .verdict.bad h1 { color: var(--bad); }
.verdict.good h1 { color: var(--good); }
.verdict p { margin: .3rem 0; } .verdict h2 { font-size: 1rem; margin: .8rem 0 0; }
.verdict dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); gap: .45rem 1.5rem; margin: .8rem 0 .5rem; }
.verdict dt { font-size: .88rem; } .verdict dd { margin: 0; font-weight: 600; }
.cards { display: grid; gap: .9rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 29rem), 1fr)); align-items: start; }
.card { background: var(--card); border: 1px solid var(--line); border-left: 5px solid var(--calm); border-radius: 8px; padding: .85rem 1rem; min-width: 0; }
.card.bad { border-left-color: var(--bad); } .card.look { border-left-color: var(--look); } .card.good { border-left-color: var(--good); }
.card.quiet { border-left-style: dotted; }
.card > p:last-child { margin-bottom: 0; }
.badges { display: flex; flex-wrap: wrap; gap: .35rem; list-style: none; padding: 0; margin: .45rem 0; }
.badge { display: inline-block; border-radius: .75rem; padding: .05rem .65rem; font-size: .85rem; font-weight: 600; background: var(--calm-soft); color: var(--calm); }
.badge.bad { background: var(--bad-soft); color: var(--bad); } .badge.look { background: var(--look-soft); color: var(--look); }
.badge.good { background: var(--good-soft); color: var(--good); }
.next { border-left: 3px solid var(--link); padding: .1rem 0 .1rem .7rem; margin: .6rem 0; }
.links { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; list-style: none; padding: 0; margin: .55rem 0; } .links a { display: inline-block; padding: .2rem 0; }
summary { cursor: pointer; color: var(--link); padding: .2rem 0; }
.empty, .box { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .85rem 1rem; }
.box { margin: .9rem 0; }
table { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem; border-top: 1px solid var(--line); }
thead th, tbody th { overflow-wrap: break-word; } tbody th { min-width: 11rem; } tbody th small { font-weight: 400; }
time, .date { white-space: nowrap; }
thead th { border-top: 0; font-size: .88rem; color: var(--faint); font-weight: 600; } tbody th { font-weight: 600; }
td.number { font-variant-numeric: tabular-nums; }
.thread { list-style: none; padding: 0; margin: 0; } .thread > li { margin: .8rem 0; } .thread ul { list-style: disc; } .thread img { border: 1px solid var(--line); }
img { max-width: 100%; height: auto; background: #fff; } blockquote { border-left: 4px solid var(--line); margin: .5rem 0; padding-left: 1rem; }
.prose h1 { margin-top: .6rem; } .prose img { max-width: min(100%, 390px); } .prose table { display: block; overflow-x: auto; }
footer { margin-top: 2.5rem; padding-top: .8rem; padding-bottom: 2rem; border-top: 1px solid var(--line); color: var(--faint); font-size: .9rem; }
@media (max-width: 40rem) {
  table.stacks, .stacks tbody, .stacks tr, .stacks th, .stacks td { display: block; }
  table.stacks { background: none; border: 0; } .stacks thead { position: absolute; left: -999px; }
  .stacks tr { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .85rem; margin-bottom: .7rem; }
  .stacks th, .stacks td { border: 0; padding: .1rem 0; } .stacks td[data-label]::before { content: attr(data-label) ": "; color: var(--faint); font-size: .9rem; }
}
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
"""
