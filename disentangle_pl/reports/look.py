"""The look of the pages: one file, no network, nothing that is not escaped, light and dark, on paper too."""

from base64 import b64encode
from hashlib import sha256

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from disentangle_pl.reports.blocks import Page
from disentangle_pl.reports.viewer import VIEWER_SCRIPT, VIEWER_STYLE

LIGHT = ("#0072b2", "#d55e00", "#009e73", "#aa3377", "#b8860b", "#56b4e9", "#882255", "#555555")
DARK = ("#5cb3ff", "#ff8c42", "#3ddc97", "#ff8fc7", "#ffd166", "#9ad8ff", "#d98cb3", "#c8c8c8")
LEVELS = 10
STYLE = (
    """:root{color-scheme:light dark;--back:#fff;--text:#1d2126;--soft:#59626d;--line:#d5dae0;--card:#f5f7f9;
--warn:#fff3d6;--edge:#d98e00;--heat:#2a6fb0}
*{box-sizing:border-box}html{scroll-padding-top:3.4em}
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:var(--back);color:var(--text);overflow-wrap:anywhere}
header,main,footer{max-width:1180px;margin:0 auto;padding:0 1rem}
h1{font-size:1.65rem;line-height:1.25;margin:1.2rem 0 .3rem}h2{font-size:1.25rem;margin:2.2rem 0 .5rem}
nav{position:sticky;top:0;z-index:1;background:var(--back);border-bottom:1px solid var(--line);overflow-x:auto}
nav ul{display:flex;gap:.3rem 1.1rem;list-style:none;max-width:1180px;margin:0 auto;padding:.6rem 1rem;
white-space:nowrap}a{color:var(--heat)}nav a{text-decoration:none;padding:.3rem 0}nav a:hover{text-decoration:underline}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:.6rem;margin:1rem 0;padding:0}
.facts div{background:var(--card);border-radius:.5rem;padding:.5rem .8rem}.facts dt{font-size:.8rem;color:var(--soft)}
.facts dd{margin:0;font-weight:600}
.warning{background:var(--warn);border-left:4px solid var(--edge);padding:.5rem 1rem;margin:.6rem 0}
.note,figcaption,caption{color:var(--soft);font-size:.85rem;text-align:left}caption{padding:.3rem 0}
.wide{overflow-x:auto;margin:.6rem 0}table{border-collapse:collapse;font-size:.88rem;overflow-wrap:normal}
th,td{padding:.28rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
td{max-width:26rem;overflow-wrap:break-word}
thead th{white-space:nowrap;border-bottom:2px solid var(--line)}tbody th{font-weight:500}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.bad{color:#b3261e;font-weight:600}
.name{min-width:9rem}td svg{display:block;width:130px;height:14px;margin-top:2px}
th button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer}
th button:after{content:" \\2195";color:var(--soft)}th[aria-sort=ascending] button:after{content:" \\2191"}
th[aria-sort=descending] button:after{content:" \\2193"}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:1rem}
figure{margin:.8rem 0;min-width:0}.charts figure{margin:0}.charts .whole{grid-column:1/-1}
img{max-width:100%;height:auto;background:#fff;border-radius:.3rem}
figure svg{width:100%;height:auto;max-width:520px;display:block}.whole img{width:min(100%,880px)}
svg text{fill:var(--soft);font:11px system-ui,sans-serif}svg .grid{stroke:var(--line);stroke-width:1}
svg .line{fill:none;stroke:var(--c);stroke-width:1.6;stroke-linejoin:round}svg .dash{stroke-dasharray:6 3}
svg .thin{stroke-width:1.1;opacity:.8}svg .dot{fill:var(--c)}svg .ring{fill:var(--back);stroke:var(--c)}
svg .bar{stroke:var(--c);stroke-width:3}svg .track{fill:var(--line)}svg .full{fill:var(--heat)}
svg .end{stroke:var(--soft);stroke-width:2}svg .turned{stroke:var(--edge);stroke-width:2}
.key{display:inline-block;width:.9em;height:.9em;border-radius:.2em;background:var(--c);margin:0 .3em 0 .8em;
vertical-align:-.08em}details{margin:.8rem 0}summary{cursor:pointer;font-weight:600;padding:.3rem 0}
footer{margin-top:3rem;padding-bottom:2rem}
"""
    + "".join(f".s{i}{{--c:{colour}}}" for i, colour in enumerate(LIGHT))
    + "".join(
        f".h{i}{{background:color-mix(in srgb,var(--heat) {int(75 * i / LEVELS)}%,transparent)}}"
        for i in range(LEVELS + 1)
    )
    + "@media(prefers-color-scheme:dark){:root{--back:#15181c;--text:#e6e9ed;--soft:#a3acb8;--line:#3a414a;"
    "--card:#20252b;--warn:#3b2f12;--edge:#e0a020;--heat:#6fb3f2}.bad{color:#ff8a80}"
    + "".join(f".s{i}{{--c:{colour}}}" for i, colour in enumerate(DARK))
    + "}@media print{nav{display:none}body{font-size:11pt}h2{break-after:avoid}figure,tr{break-inside:avoid}"
    ".wide{overflow:visible}}"
)
SCRIPT = """"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = row => row.cells[at].dataset.v ?? row.cells[at].textContent;
      const order = (a, b) => {
        const [x, y] = [Number(a), Number(b)];
        return a === "" || b === "" ? 0 : Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
      };
      const rows = [...table.tBodies[0].rows];
      const [known, empty] = [rows.filter(r => value(r) !== ""), rows.filter(r => value(r) === "")];
      known.sort((a, b) => (up ? 1 : -1) * order(value(a), value(b)));
      table.tBodies[0].append(...known, ...empty);
    });
  });
}
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach(each => { each.open = true; });
});
addEventListener("afterprint", () => closed.forEach(each => { each.open = false; }));
"""
TEMPLATE = """\
{% macro cell(c, tag="td") -%}
<{{ tag }}{% if tag == "th" %} scope="row"{% endif %}{% if c.css %} class="{{ c.css }}"{% endif %}
 {%- if c.number is not none %} data-v="{{ c.number }}"{% elif c.css == "n" %} data-v=""{% endif %}>
 {{- c.text }}{{ c.mark }}</{{ tag }}>
{%- endmacro %}
{% macro table(t) -%}
<div class="wide" tabindex="0"><table{% if t.sortable %} class="sortable"{% endif %}>
{% if t.caption %}<caption>{{ t.caption }}</caption>{% endif %}
<thead><tr>{% for name in t.head %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in t.rows %}
<tr>{% for c in row %}{{ cell(c, "th" if loop.first else "td") }}{% endfor %}</tr>{% endfor %}
</tbody></table></div>
{%- endmacro %}
{% macro picture(p) -%}
<figure{% if p.wide %} class="whole"{% endif %}>
{% if p.source %}<img src="{{ p.source }}" alt="{{ p.alt }}" width="{{ p.width }}" height="{{ p.height }}">
{% elif p.why %}<p class="warning">{{ p.why }}</p>{% else %}{{ p.chart }}{% endif %}
<figcaption>{{ p.caption }}{% for css, name in p.keys %} <span class="key {{ css }}"></span>{{ name }}{% endfor %}
</figcaption></figure>
{%- endmacro %}
{% macro viewer(v) -%}
<figure class="volumes" data-shape="{{ v.shape | join(" ") }}" data-origin="{{ v.origin | join(" ") }}"
 data-across="{{ v.across }}" data-spacing="{{ v.spacing }}">
<div class="stacks">{% for t in v.stacks %}
<img src="{{ t.source }}" alt="{{ t.group }}: {{ t.name }}, all axial slices" data-group="{{ t.group }}"
 data-name="{{ t.name }}"{% if t.signed %} data-signed="1"{% endif %}>{% endfor %}</div>
<figcaption>{{ v.caption }}</figcaption></figure>
{%- endmacro %}
{% macro body(s) -%}
{% for text in s.words %}<p>{{ text }}</p>{% endfor %}
{% if s.pictures %}<div class="charts">{% for p in s.pictures %}{{ picture(p) }}{% endfor %}</div>{% endif %}
{% for t in s.tables %}{{ table(t) }}{% endfor %}
{%- endmacro %}
<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{{ page.title }}</title>
<style>{{ style }}</style></head>
<body><header><h1>{{ page.title }}</h1><p>{{ page.lead }}</p>
{% for text in page.warnings %}<p class="warning" role="note">{{ text }}</p>{% endfor %}
{% if page.facts %}<dl class="facts">{% for name, text in page.facts %}
<div><dt>{{ name }}</dt><dd>{{ text }}</dd></div>{% endfor %}</dl>{% endif %}</header>
<nav aria-label="Parts of this page"><ul>{% for s in page.sections %}
<li><a href="#{{ s.anchor }}">{{ s.title }}</a></li>{% endfor %}</ul></nav>
<main>{% for s in page.sections %}
<section id="{{ s.anchor }}"><h2>{{ s.title }}</h2>
{{ body(s) }}
{% for v in s.viewers %}{{ viewer(v) }}{% endfor %}
{% for f in s.folds %}<details><summary>{{ f.summary }}</summary>{{ body(f) }}</details>{% endfor %}
</section>{% endfor %}</main>
<footer><p class="note">Written by disentangle-pl report; this page needs no network.</p></footer>
<script>{{ script }}</script></body></html>
"""


ENVIRONMENT = Environment(
    loader=DictLoader({"page": TEMPLATE}), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def render(page: Page) -> str:
    """Write a page; every text is escaped, and a policy forbids all sources but the page itself."""
    scrolled = any(section.viewers for section in page.sections)
    style, script = (STYLE + VIEWER_STYLE, SCRIPT + VIEWER_SCRIPT) if scrolled else (STYLE, SCRIPT)
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    template = ENVIRONMENT.get_template("page")
    return template.render(page=page, policy=policy, style=Markup(style), script=Markup(script)) + "\n"


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()
