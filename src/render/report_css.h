// The style sheet of the report.
#pragma once

#include <string_view>

namespace numapin {

constexpr std::string_view kReportCss = R"css(
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,'Segoe UI',Roboto,'Helvetica Neue',Arial,'Liberation Sans','DejaVu Sans',sans-serif}
main,header,footer{max-width:1320px;margin:0 auto;padding:0 24px}
header{padding-top:28px}
h1{font-size:26px;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:19px;margin:0 0 12px}
h3{font-size:15px;margin:0 0 8px}
p{margin:0 0 8px;max-width:75ch}
section{margin:32px 0 0}
.muted,caption,footer{color:var(--muted)}
.answer{font-size:19px;line-height:1.4;margin:14px 0 10px;max-width:none}
code,.mono{font-family:ui-monospace,'SF Mono',Menlo,Consolas,'Liberation Mono','DejaVu Sans Mono',monospace;font-size:.9em;overflow-wrap:anywhere}
pre{margin:6px 0 0;white-space:pre-wrap;overflow-wrap:anywhere}
.type{list-style:none;display:flex;flex-wrap:wrap;gap:8px 12px;padding:0;margin:0 0 18px}
.type li{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:7px 14px}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px}
.scroll{overflow-x:auto;max-width:100%}
.scroll:focus-visible{outline:2px solid var(--accent)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:6px 14px 6px 0;border-bottom:1px solid var(--line)}
thead th{color:var(--muted);font-weight:500;font-size:13px}
tbody tr:last-child>*{border-bottom:0}
tbody th{font-weight:600;white-space:nowrap}
.wide{width:100%}
.heat th,.heat td{border:0;padding:3px 7px;text-align:center;font-size:12.5px;white-space:nowrap}
.heat th{font-weight:500;color:var(--muted)}
.heat td{border:2px solid var(--card);border-radius:6px;min-width:3em}
.heat .none{color:var(--muted)}
.h0{background:var(--heat0);color:var(--text)}.h1{background:var(--heat1);color:var(--text)}.h2{background:var(--heat2);color:var(--text)}
.h3{background:var(--heat3);color:var(--text)}.h4{background:var(--heat4);color:var(--onheat4)}.h5{background:var(--heat5);color:var(--onheat5)}
.legend{list-style:none;padding:0;margin:10px 0 0;font-size:13px;color:var(--muted)}
.legend b{color:var(--text);font-weight:600;margin-right:6px}
.nodes{display:grid;gap:16px;grid-template-columns:repeat(auto-fill,minmax(min(380px,100%),1fr));align-items:start}
.nodes.few{grid-template-columns:repeat(auto-fit,minmax(min(560px,100%),1fr))}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:10px;overflow:hidden}
figure svg{display:block;width:100%;height:auto;max-width:760px}
.few .narrow{display:none}
.side{display:flex;flex-wrap:wrap;gap:16px;align-items:flex-start}
.side>*{min-width:0}
.mesh svg{display:block;max-width:100%;height:auto}
.bar{display:inline-block;width:96px;height:9px;border-radius:5px;background:var(--track);overflow:hidden;vertical-align:middle;margin-right:8px}
.bar i{display:block;height:100%;background:var(--used)}
.tint{display:inline-block;width:11px;height:11px;border-radius:3px;border:1px solid var(--link);margin-right:6px;vertical-align:-1px}
.state{font-weight:600;white-space:nowrap}
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}
.facts{display:flex;flex-wrap:wrap;gap:4px 18px;padding:0;margin:0 0 14px;list-style:none}
a{color:var(--accent)}
details summary{cursor:pointer;color:var(--accent)}
ul.plain{padding-left:20px;margin:0}
footer p{max-width:none}
.card p{max-width:46ch}
.card+ul,.card+p{margin-top:12px}
section>ul,section>p{max-width:110ch}
footer{padding-top:28px;padding-bottom:36px;font-size:13px}
@media (max-width:720px){
  main,header,footer{padding-left:12px;padding-right:12px}
  header{padding-top:18px}
  .answer{font-size:17px}
  .card{padding:12px}
  .few .narrow{display:block}.few .wide-drawing{display:none}
  .stack thead{position:absolute;left:-9999px}
  .stack tr{display:block;border-bottom:1px solid var(--line);padding:6px 0}
  .stack tbody tr:last-child{border-bottom:0}
  .stack th,.stack td{display:block;border:0;padding:1px 0}
  .stack .bar{width:64px}
  .stack td:empty{display:none}
  .stack td[data-name]::before{content:attr(data-name) ": ";color:var(--muted)}
}
@media print{
  @page{margin:12mm}
  body{background:none;font-size:11pt;-webkit-print-color-adjust:exact;print-color-adjust:exact}
  main,header,footer{max-width:none;padding:0}
  figure,.card,tr,p{break-inside:avoid}
  h2,h3,section>p{break-after:avoid}
  .scroll{overflow:visible}
  .nodes,.nodes.few{grid-template-columns:1fr 1fr}
  .few .narrow{display:block}.few .wide-drawing{display:none}
  .heat{font-size:min(9pt,calc(140pt/var(--columns)))}
  .heat th,.heat td{padding:.15em .3em;font-size:1em}
  .heat td{min-width:0;border-width:1px}
  .many thead th:not(:first-child){writing-mode:vertical-rl;transform:rotate(180deg);text-align:left}
}
)css";

}  // namespace numapin
