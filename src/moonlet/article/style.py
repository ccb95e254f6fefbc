"""How the page looks: one column, type for Latin, Thai and Chinese, light and dark as the reader likes, and paper."""

# Thai marks stand above and below the line and need room; Chinese signs are larger than Latin letters of their size.
STYLE = """
:root{--ink:#1d1d1b;--soft:#66635c;--rule:#dedad1;--page:#fdfcf9;--card:#f4f1ea;--mark:#9a3412;--link:#0b5a8a;
--serif:"Source Serif 4","Source Serif Pro",Charter,"Bitstream Charter",Cambria,"Noto Serif",Georgia,serif;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Helvetica Neue",Arial,sans-serif;
--lead:1.62;--size:1.125rem;--measure:41rem}
@media(prefers-color-scheme:dark){:root{--ink:#e9e6df;--soft:#a39e93;--rule:#3a3833;--page:#171613;--card:#211f1b;
--mark:#f2a277;--link:#7cc0ea}}
:lang(th){--serif:"Noto Serif Thai","Noto Serif","Sarabun","TH Sarabun New","Noto Looped Thai","Laksaman","Kinnari",
"Leelawadee UI",Thonburi,Tahoma,serif;--sans:"Noto Sans Thai","Noto Sans","Sarabun","Leelawadee UI","Loma","Waree",
Thonburi,Tahoma,
sans-serif;--lead:1.9;--size:1.1rem;--measure:40rem}
:lang(zh){--serif:"Source Han Serif SC","Noto Serif CJK SC","Songti SC",STSong,SimSun,serif;
--sans:"Source Han Sans SC",
"Noto Sans CJK SC","PingFang SC","Hiragino Sans GB","Microsoft YaHei",sans-serif;--lead:1.85;--size:1.08rem;
--measure:38rem}
:lang(zh-Hant){--serif:"Source Han Serif TC","Noto Serif CJK TC","Songti TC",PMingLiU,serif;
--sans:"Source Han Sans TC",
"Noto Sans CJK TC","PingFang TC","Microsoft JhengHei",sans-serif}
*{box-sizing:border-box}html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:var(--size)/var(--lead) var(--serif);
font-feature-settings:"kern","liga";overflow-wrap:break-word;text-rendering:optimizeLegibility}
main{max-width:calc(var(--measure) + 3rem);margin:0 auto;padding:clamp(1.5rem,6vw,5rem) 1.5rem 4rem}
p{margin:0 0 1.05em;text-wrap:pretty;hanging-punctuation:first allow-end last}
:lang(zh) p,:lang(th) p{hanging-punctuation:none}:lang(zh) p{line-break:strict;text-autospace:normal;
text-align:justify}
h1,h2,h3,.kicker,.t,nav,table,figcaption,.card h2,summary,.small{font-family:var(--sans)}
h1{font:700 clamp(1.75rem,1.2rem + 2.4vw,2.6rem)/1.2 var(--serif);letter-spacing:-.012em;margin:.35em 0 .55em;
text-wrap:balance}
:lang(th) h1,h1:lang(th){line-height:1.45;letter-spacing:0}h1:lang(zh){line-height:1.35;letter-spacing:.01em}
h2{font-weight:650;font-size:1.28em;line-height:1.35;margin:2.4em 0 .7em;text-wrap:balance}
h2:lang(th){line-height:1.6}
.kicker{color:var(--soft);font-size:.8rem;line-height:1.6;margin:0}.kicker a{color:inherit}
.lead{font-size:1.17em;line-height:calc(var(--lead) - .06);color:var(--ink);margin-bottom:1.6em}
a{color:var(--link);text-decoration-thickness:.06em;text-underline-offset:.18em}
a:focus-visible,summary:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:2px}
.t{font-size:.66rem;line-height:1;color:var(--soft);text-decoration:none;white-space:nowrap;margin-left:.28em;
vertical-align:.32em;font-variant-numeric:tabular-nums;letter-spacing:.01em}
:lang(th) strong{white-space:nowrap}:lang(zh) .t{margin:0 .18em 0 .1em}:lang(zh){text-spacing-trim:trim-start}
a.t:hover{color:var(--link);text-decoration:underline}
h2 .t,figcaption .t,.pull .t,li .t{font-weight:400}h2:lang(zh) .t{margin-left:.4em}
h1:lang(zh),h2:lang(zh){word-break:keep-all}
.card{background:var(--card);border-radius:.6rem;padding:1.3rem 1.5rem;margin:2rem 0}
.card h2{margin:0 0 .6rem;font-size:.86rem;letter-spacing:.02em;color:var(--soft)}
.card ul{margin:0;padding-left:1.15em}.card li{margin:.42em 0;padding-left:.15em}.card li::marker{color:var(--mark)}
nav{font-size:.9rem;line-height:1.7;margin:2rem 0}nav h2{font-size:.86rem;color:var(--soft);margin:0 0 .3rem}
nav ol{margin:0;padding-left:1.4em}
.pull{margin:2.2em 0;padding:0 0 0 1.3rem;border-left:3px solid var(--mark)}
.pull blockquote{margin:0;font-size:1.26em;line-height:calc(var(--lead) - .18);text-wrap:pretty}
.pull figcaption{margin-top:.5em}.pull figcaption .t{margin-left:0}
figure.shot{margin:2.2em 0}
figure.shot img{display:block;width:100%;height:auto;border-radius:.4rem;background:var(--card)}
figcaption{color:var(--soft);font-size:.82rem;line-height:1.6;margin-top:.6em}:lang(th) figcaption{line-height:1.75}
.flag{text-decoration:underline wavy var(--mark);text-decoration-thickness:1px;text-underline-offset:.25em}
.why{color:var(--mark);font:500 .68rem/1 var(--sans);margin-left:.3em;vertical-align:.25em;
white-space:nowrap}
footer{border-top:1px solid var(--rule);margin-top:4rem;padding-top:.5rem;font-size:.9rem;line-height:1.65;
font-family:var(--sans)}
footer h2{font-size:1rem;margin:1.8em 0 .5em}footer p{margin:0 0 .8em}footer .line,footer .small{text-align:start}
:lang(th) footer{line-height:1.8}
table{border-collapse:collapse;width:100%;font-size:.86rem;font-variant-numeric:tabular-nums;margin:.4rem 0 .9rem}
th,td{text-align:start;padding:.38em .8em .38em 0;border-bottom:1px solid var(--rule);vertical-align:top;
font-weight:400}
td:last-child{text-align:end;padding-right:0;overflow-wrap:anywhere;min-width:6em}dl{margin:0}dt{color:var(--soft);font-size:.8rem}
dd{margin:0 0 .5em}.found{padding-left:1.1em;margin:.4em 0}.found li{margin:.5em 0}
.small{color:var(--soft);font-size:.8rem}
details summary{cursor:pointer;color:var(--link)}.line{margin:.25em 0;padding-left:2.9rem;text-indent:-2.9rem}
.line .t{display:inline-block;min-width:2.3rem;text-indent:0;margin:0 .6rem 0 0;vertical-align:.1em}
.unclear{border-bottom:1px dotted var(--mark)}
@media(max-width:30rem){body{font-size:1.05rem}.card{margin-inline:-.5rem;padding:1.1rem}}
@media print{:root{--ink:#000;--soft:#444;--page:#fff;--card:#fff;--rule:#bbb;--mark:#555;--link:#000}
body{font-size:10.5pt}main{max-width:none;padding:0}nav,details.transcript{display:none}
.card{border:1px solid var(--rule)}
h2{break-after:avoid}figure,.card,.pull,tr{break-inside:avoid}a{text-decoration:none}@page{margin:2.2cm 2.4cm}
p{orphans:3;widows:3}}
"""
