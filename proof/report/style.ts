/**
 * The looks of the page: two themes from one set of rules, a map beside a panel on wide screens, one column and
 * a sheet from below on narrow ones, everything visible on paper.
 * Leaves to others: the colours (palette.ts).
 */
import { art, cellHeight } from './cell-art.ts'
import { dark, light, variables } from './palette.ts'

export function styleSheet(): string {
  return themes + base + head + alarm + story + map + side + narrow + paper
}

const themes = `
:root{color-scheme:light;${variables(light)}}
@media (prefers-color-scheme:dark){:root:not([data-theme=light]){color-scheme:dark;${variables(dark)}}}
:root[data-theme=dark]{color-scheme:dark;${variables(dark)}}
.f-new,.e-old{stroke:none}
.e-old{fill:var(--old)}.e-new{fill:url(#p-new)}.e-otherwise{fill:url(#p-otherwise)}.e-violation{fill:url(#p-violation)}
.e-none{fill:var(--none)}
.f-new{fill:var(--new)}.f-new-mark{fill:var(--new-mark)}
.f-otherwise{fill:var(--otherwise)}.f-otherwise-mark{fill:var(--otherwise-mark)}
.f-violation{fill:var(--violation)}.s-violation-mark{stroke:var(--violation-mark);stroke-width:1.5;fill:none}
`

const base = `
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0 auto;max-width:86rem;padding:1.25rem 1.5rem 3rem;background:var(--page);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
h1,h2,h3,p,ul,ol,dl,dd,figure{margin:0;padding:0}
ul,ol{list-style:none}
a{color:var(--accent)}
code{font:.85em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
button{font:inherit;color:inherit;cursor:pointer}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:4px}
[hidden]{display:none!important}
.muted{color:var(--muted)}
.unseen,.skip:not(:focus){position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.definitions{position:absolute}
.button,[data-copy]{border:1px solid var(--line);border-radius:6px;background:var(--surface);padding:.25rem .7rem;font-size:.85rem}
.button:hover,[data-copy]:hover{border-color:var(--accent)}
.swatch{width:20px;height:14px;border-radius:3px;flex:none;vertical-align:-2px}
table{border-collapse:collapse;font-size:.85rem;width:100%}
th,td{padding:.18rem .6rem .18rem 0;text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th{color:var(--muted);font-weight:500;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left}
`

const head = `
.top{display:flex;justify-content:space-between;align-items:center;gap:1rem;margin-bottom:.6rem}
.brand{font-weight:700;letter-spacing:.01em}.brand span{font-weight:400;color:var(--muted)}
h1{font-size:clamp(1.5rem,3.2vw,2.15rem);line-height:1.2;letter-spacing:-.015em;text-wrap:balance}
.lede{max-width:76rem;margin-top:.4rem;color:var(--muted);text-wrap:pretty}
.lede b{color:var(--text);font-weight:600}
.tiles{display:grid;grid-template-columns:repeat(5,1fr);gap:.6rem;margin:.9rem 0 1.1rem}
.tiles div{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:.45rem .9rem .45rem}
.tiles dt{color:var(--muted);font-size:.8rem}
.tiles dd{font-size:1.45rem;font-weight:650;line-height:1.25;font-variant-numeric:tabular-nums}
.tiles small{display:block;font-size:.78rem;font-weight:400;color:var(--muted)}
.tiles .good dd b{color:var(--good)}.tiles .bad{border-color:var(--alarm)}.tiles .bad dd b{color:var(--alarm)}
`

const alarm = `
.alarm{margin:1.1rem 0;border:2px solid var(--alarm);border-radius:10px;background:var(--alarm-surface);overflow:hidden}
.alarm h2{display:flex;gap:.6rem;align-items:center;padding:.55rem 1rem;background:var(--alarm);color:var(--on-alarm);font-size:1.1rem}
.alarm>p{padding:.6rem 1rem 0}
.alarm ol{padding:.2rem 1rem .6rem;max-height:26rem;overflow:auto}
.alarm li{padding:.65rem 0;border-top:1px solid var(--line)}.alarm li:first-child{border-top:0}
.alarm .invariant{display:inline-block;background:var(--alarm);color:var(--on-alarm);border-radius:4px;padding:0 .45rem;margin-right:.5rem;font-weight:700}
.alarm .muted{font-size:.88rem}
.command{display:flex;gap:.5rem;align-items:center;margin-top:.35rem}
.command code{flex:0 1 auto;min-width:0;background:var(--raised);border-radius:5px;padding:.25rem .55rem}
.command button{flex:none}
`

const story = `
#tabs{position:relative;display:flex;flex-wrap:wrap;gap:.35rem;margin-bottom:1rem;border-bottom:1px solid var(--line);padding-bottom:.7rem}
#tabs a{display:block;padding:.3rem .8rem;border:1px solid var(--line);border-radius:999px;background:var(--surface);color:var(--text);text-decoration:none;font-size:.9rem}
#tabs a:hover{border-color:var(--accent)}
#tabs a[aria-current]{background:var(--text);border-color:var(--text);color:var(--page);font-weight:600}
#tabs a.broken{border-color:var(--alarm)}#tabs a.broken:not([aria-current]){color:var(--alarm)}
.layout{display:grid;grid-template-columns:minmax(0,1fr) 23rem;gap:1.5rem}
.scenario+.scenario{margin-top:2.5rem}.scripted .scenario+.scenario{margin-top:0}
.scenario h2{font-size:1.25rem;line-height:1.3;overflow-wrap:anywhere}
.scenario .about{margin-top:.1rem;max-width:50rem}
.how{display:none}
.facts{color:var(--muted);font-size:.88rem;margin-top:.25rem}
.ends{margin:.6rem 0 .9rem}
.ends .whole{display:block;width:100%;height:14px;border-radius:4px}
.ends ul,.counts{display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;margin-top:.35rem;font-size:.85rem}
.ends li,.counts li{display:flex;gap:.4rem;align-items:center}
.is-violation{color:var(--alarm);font-weight:700}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:1.25rem;margin-top:1.5rem}
.figures figure{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:.8rem 1rem;min-width:0;overflow-x:auto;position:relative}
figcaption{font-weight:600;margin-bottom:.4rem}figcaption span{display:block;font-weight:400;font-size:.83rem;color:var(--muted)}
.histogram td:nth-child(2){width:60%}.histogram svg{display:block;width:100%;height:12px}
.histogram rect{fill:var(--accent)}
`

const map = `
.map{display:flex;flex-wrap:wrap;gap:.9rem .7rem}
.run{background:var(--surface);border:1px solid var(--line);border-radius:8px;padding:.35rem .45rem .3rem;max-width:100%}
.run h3{font-size:.7rem;line-height:1.4;font-weight:700;letter-spacing:.05em;white-space:nowrap;overflow:hidden;text-overflow:ellipsis;margin:0 .1rem .15rem}
.run h3 span{font-weight:400;letter-spacing:0;color:var(--muted);margin-left:.35em}
.run ol{display:flex;flex-wrap:wrap}
.c{display:block;padding:2px 2px 0;border:0;background:none;font:10px/13px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;color:var(--muted);border-radius:5px;text-align:center}
.c svg{display:block;width:${art.width}px;height:${cellHeight}px;border-radius:3px;overflow:hidden}
.c:hover{background:var(--line)}
.c[aria-current]{background:var(--text);color:var(--page)}
.c.bad{background:var(--alarm);color:var(--on-alarm);font-weight:700}
.c.bad[aria-current]{outline:3px solid var(--text)}
.c.uncut svg{outline:2px dashed var(--alarm);outline-offset:-2px}
.c:focus-visible{outline-offset:0;border-radius:5px}
#tip{position:fixed;z-index:3;max-width:min(22rem,calc(100vw - 16px));pointer-events:none;background:var(--text);color:var(--page);border-radius:8px;padding:.5rem .7rem;font-size:.83rem;box-shadow:0 4px 18px rgb(0 0 0/.3)}
#tip b{display:block;font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
#tip .muted,#tip .is-violation{color:inherit}
#tip .swatch{outline:1px solid var(--page)}
`

const side = `
#panel,#legend{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:.9rem 1rem}
#panel{position:sticky;z-index:1;top:1rem;max-height:calc(100vh - 2rem);overflow:auto;border:2px solid var(--text);margin-bottom:1rem;box-shadow:0 4px 18px rgb(0 0 0/.18)}
#panel header{display:flex;justify-content:space-between;align-items:center;gap:1rem}
#panel h2,#legend h2{font-size:1.05rem}
#panel .name{margin:.2rem 0 .3rem}#panel .name code{font-size:.95rem;font-weight:600}
#panel .phase{font-size:.88rem;color:var(--muted);margin-top:.3rem}#panel .phase b{color:var(--text)}
.way{border-top:1px solid var(--line);margin-top:.7rem;padding-top:.6rem}
.way h3{display:flex;align-items:center;gap:.6rem;font-size:.95rem}
.way h3 svg{width:60px;height:21px;border-radius:3px}
.way p{font-size:.83rem}
.way .command code{flex:1;font-size:.78rem}
#legend p,#legend li,#legend dd{font-size:.86rem}
#legend h3{font-size:.86rem;margin:.75rem 0 .3rem}
#legend .hint{margin-top:.4rem;color:var(--muted)}
#legend .key li{display:grid;grid-template-columns:20px 1fr;gap:.6rem;margin-bottom:.4rem}
#legend .key .swatch{margin-top:4px}
#legend .anatomy li{display:grid;grid-template-columns:40px 1fr;gap:.6rem;align-items:start;margin-bottom:.3rem}
#legend .anatomy .sample{width:40px;height:14px;border-radius:3px;margin-top:4px}
#legend .places{display:grid;grid-template-columns:auto 1fr;gap:0 .7rem}
#legend .places dt{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.85rem;font-weight:700}

.promises{margin-top:1.25rem;background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:.9rem 1rem}
.promises h2{font-size:1.05rem}.promises p{font-size:.88rem;color:var(--muted)}
.promises ul{columns:20rem auto;column-gap:2rem;margin-top:.6rem;font-size:.88rem}
.promises li{display:grid;grid-template-columns:7em 1fr;break-inside:avoid;padding:.12rem 0}
footer{margin-top:2rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--muted);font-size:.85rem;max-width:62rem}
`

const narrow = `
@media (max-width:1020px){
.layout{grid-template-columns:minmax(0,1fr)}
#panel{position:fixed;z-index:2;top:auto;left:0;right:0;bottom:0;margin:0;max-height:56vh;border-radius:14px 14px 0 0;border-width:2px 0 0;box-shadow:0 -6px 24px rgb(0 0 0/.25)}
.c{scroll-margin:1rem 0 60vh}
.how{display:inline}
}
@media (max-width:640px){
body{padding:.9rem .8rem 3rem;font-size:15px}
.tiles{grid-template-columns:repeat(2,1fr);gap:.5rem}.tiles div:first-child{grid-column:1/-1}
.figures{grid-template-columns:minmax(0,1fr)}
#tabs{flex-wrap:nowrap;overflow-x:auto;padding-bottom:.6rem}#tabs a{white-space:nowrap}
}
@media (forced-colors:active){.e-old,.e-new,.e-otherwise,.e-violation,.definitions *{forced-color-adjust:none}.c[aria-current]{outline:3px solid}}
`

const paper = `
@media print{.scenario,.run{break-inside:avoid-page}.scenario[hidden]{display:block!important}#tabs,#theme,#panel,#tip,[data-copy]{display:none!important}.layout{display:block}.alarm ol{max-height:none}}
`
