"""
A flame graph as SVG: one file with everything in it, readable as a still picture; in a browser its script zooms and searches.

Comes in: stacks with weights. Goes out: text that depends on nothing else. The roots are at the top; a frame is as wide as its share of
the time, and stands below its caller; frames side by side are in the order of their names.
"""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDTH, ROW, MARGIN, HEAD, FOOT = 1200, 18, 12, 74, 34
SIGN = 7.0  # width of a letter; the script measures what the browser has
LEAST = 0.0005  # share of the time: a frame that is narrower (0.6 of 1200 points) is not drawn

_STYLE = """\
svg{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:11.5px}
text{fill:#1f2328}.h{font:600 17px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
.d,.l,.b,#say{font:12.5px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#59636e}
#say{fill:#1f2328}.b{fill:#0a56b8;cursor:pointer}.b:hover{text-decoration:underline}
.f{cursor:pointer}.f text{pointer-events:none}.f rect{stroke:#fff;stroke-width:.7}
.f:hover rect{stroke:#1f2328;stroke-width:1.6}
.f.up{opacity:.55}.f.hit rect{fill:#d63fbf}.f.hit text{fill:#fff}
input{box-sizing:border-box;width:100%;height:24px;padding:2px 8px;border:1px solid #d1d9e0;border-radius:6px;font:12.5px system-ui,sans-serif;
background:#fff;color:#1f2328}"""

# Everything that it needs to know is in the picture: x and width of a frame in percent, y by depth, the whole name in its title.
_SCRIPT = """\
(function(){
'use strict';
var svg=document.documentElement,say=document.getElementById('say'),back=document.getElementById('back'),
  matched=document.getElementById('matched'),sign=SIGN,sought='';
svg.removeAttribute('viewBox');svg.setAttribute('width','100%');
var probe=document.createElementNS(svg.namespaceURI,'text');
probe.textContent='mmmmmmmmmmmmmmmmmmmm';document.getElementById('frames').appendChild(probe);
sign=probe.getComputedTextLength()/20||sign;probe.remove();
var frames=[].map.call(document.querySelectorAll('.f'),function(at){
  var full=at.querySelector('title').textContent,end=full.lastIndexOf('\\n');
  return {at:at,x:parseFloat(at.getAttribute('x')),w:parseFloat(at.getAttribute('width')),y:+at.getAttribute('y'),
    name:full.slice(0,end),rest:full.slice(end+1),label:at.querySelector('text')};
}),top=frames[0],focus=top;
function wide(c){c=c.codePointAt(0);
  return c>=0x1100&&(c<=0x115f||c>=0x2e80&&c<=0xa4cf||c>=0xac00&&c<=0xd7a3||c>=0xf900&&c<=0xfaff||c>=0xfe30&&c<=0xfe6f||c>=0xff00&&c<=0xff60||
    c>=0xffe0&&c<=0xffe6||c>=0x1f300&&c<=0x1f64f||c>=0x20000&&c<=0x3fffd)?2:1;}
function fit(name,room){
  var signs=Array.from(name),used=0,kept=0,cut=0;
  for(;kept<signs.length;kept++){used+=wide(signs[kept]);if(used>room)break;if(used<=room-1)cut=kept+1;}
  return kept===signs.length?name:cut<3?'':signs.slice(0,cut).join('')+'\\u2026';
}
function show(){
  var room=svg.getBoundingClientRect().width-2*MARGIN,a=focus.x,w=focus.w;
  frames.forEach(function(f){
    var inside=f.y>=focus.y&&f.x>=a-1e-7&&f.x+f.w<=a+w+1e-7,above=f.y<focus.y&&f.x<=a+1e-7&&f.x+f.w>=a+w-1e-7,
      part=above?1:f.w/w;
    f.at.style.display=(inside||above)&&part*room>=.3?'':'none';
    if(f.at.style.display)return;
    f.at.setAttribute('x',(above?0:(f.x-a)/w*100)+'%');
    f.at.setAttribute('width',part*100+'%');
    f.at.classList.toggle('up',above);
    f.label.textContent=fit(f.name,Math.floor((part*room-7)/sign));
  });
  back.style.display=focus===top?'none':'';
  say.setAttribute('x',MARGIN+(focus===top?0:120));
}
function mark(){
  var ends=[],sum=0,reach=-1,text=sought.toLowerCase();
  frames.forEach(function(f){
    var hit=!!text&&f!==top&&f.name.toLowerCase().indexOf(text)>=0;
    f.at.classList.toggle('hit',hit);
    if(hit)ends.push([f.x,f.x+f.w]);
  });
  ends.sort(function(p,q){return p[0]-q[0];}).forEach(function(p){
    sum+=Math.max(0,p[1]-Math.max(p[0],reach));reach=Math.max(reach,p[1]);
  });
  matched.textContent=text?(ends.length?'found in '+sum.toFixed(1)+'% of the time':'not found'):'';
}
function of(event){
  var at=event.target.closest&&event.target.closest('.f');
  return at&&frames.find(function(f){return f.at===at;});
}
svg.addEventListener('mousemove',function(event){var f=of(event);say.textContent=f?f.name+' \\u2014 '+f.rest:'';});
svg.addEventListener('click',function(event){
  var f=of(event);
  if(event.target===back)f=top;
  if(f){focus=f;show();}
});
var box=document.createElementNS(svg.namespaceURI,'foreignObject'),input=document.createElementNS('http://www.w3.org/1999/xhtml','input');
box.setAttribute('y','14');box.setAttribute('height','26');
input.setAttribute('placeholder','Search by name');input.setAttribute('aria-label','Search by name');
box.appendChild(input);svg.appendChild(box);
input.addEventListener('input',function(){sought=input.value.trim();mark();});
document.addEventListener('keydown',function(event){
  if(event.key==='Escape'){
    if(sought||input.value){input.value=sought='';mark();}else{focus=top;show();}
    input.blur();
  }else if(event.key==='/'&&document.activeElement!==input){event.preventDefault();input.focus();}
});
function place(){
  var width=svg.getBoundingClientRect().width,room=Math.min(220,Math.max(120,width*.3));
  box.setAttribute('width',room);box.setAttribute('x',width-MARGIN-room);
  matched.setAttribute('x',width-MARGIN);
  document.getElementById('frames').setAttribute('width',Math.max(width-2*MARGIN,1));show();
}
window.addEventListener('resize',place);
place();
})();"""

_KINDS = (("code", "#f3a65a"), ("runtime", "#8cc7b5"), ("host", "#a9b4ee"), ("collector, waiting", "#c9ced6"))


@dataclass(slots=True)
class _Node:
    name: str
    own: int = 0
    whole: int = 0
    below: dict[str, _Node] = field(default_factory=dict)


def draw(stacks: Mapping[tuple[str, ...], int], title: str, *, samples: int = 0) -> str:
    """The picture of *stacks*: nanoseconds by frames from the outermost."""
    root = _tree(stacks)
    frames, depth = _frames(root)
    height = HEAD + max(depth, 1) * ROW + FOOT
    facts = [time_text(root.whole)]
    if samples:
        facts.append(f"{samples:,} sample{'s' * (samples != 1)}")
    said = _xml(title)
    detail = _xml(" · ".join(facts) if root.whole else "nothing was sampled")
    script = _SCRIPT.replace("SIGN", str(SIGN)).replace("MARGIN", str(MARGIN))
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{_attribute(f"Flame graph: {title}")}">
<title>{said}</title>
<style>{_STYLE}</style>
<rect width="100%" height="100%" fill="#fdfdfb"/>
<text class="h" x="{MARGIN}" y="28">{said}</text>
<text class="d" x="{MARGIN}" y="47">{detail}</text>
<text class="b" id="back" x="{MARGIN}" y="66" style="display:none">← whole program</text>
<text id="say" x="{MARGIN}" y="66"></text>
<text class="l" id="matched" x="{WIDTH - MARGIN}" y="56" text-anchor="end"></text>
<svg id="frames" x="{MARGIN}" y="{HEAD}" width="{WIDTH - 2 * MARGIN}" height="{max(depth, 1) * ROW}">
{"".join(frames)}</svg>
{_legend(height)}<script><![CDATA[
{script}
]]></script>
</svg>
"""


def time_text(nanoseconds: int) -> str:
    """``1.23 s``, ``45.6 ms``, ``789 µs``."""
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1000)):
        if nanoseconds >= size:
            value = nanoseconds / size
            return f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return f"{nanoseconds} ns"


def _tree(stacks: Mapping[tuple[str, ...], int]) -> _Node:
    root = _Node("all")
    for stack, weight in stacks.items():
        at = root
        at.whole += weight
        for name in stack:
            at = at.below.setdefault(name, _Node(name))
            at.whole += weight
        at.own += weight
    return root


def _frames(root: _Node) -> tuple[list[str], int]:
    """Every frame that is wide enough as text, callers first; and how many rows they take."""
    if not root.whole:
        return [], 0
    drawn, deepest = list[str](), 0
    waiting = [(root, 0, 0)]
    while waiting:
        node, before, row = waiting.pop()
        if node.whole < root.whole * LEAST:
            continue
        drawn.append(_frame(node, before, row, root.whole))
        deepest = max(deepest, row + 1)
        below, at = [], before
        for name in sorted(node.below):
            below.append((node.below[name], at, row + 1))
            at += node.below[name].whole
        waiting += reversed(below)
    return drawn, deepest


def _frame(node: _Node, before: int, row: int, whole: int) -> str:
    share = node.whole / whole
    facts = f"{time_text(node.whole)}, {share:.1%}"
    if node.own and node.below:
        facts += f"; itself {time_text(node.own)}, {node.own / whole:.1%}"
    label = fit(node.name, int((share * (WIDTH - 2 * MARGIN) - 7) / SIGN))
    return (
        f'<svg class="f" x="{_percent(before / whole)}" y="{row * ROW}" width="{_percent(share)}" height="{ROW}">'
        f"<title>{_xml(node.name)}\n{_xml(facts)}</title>"
        f'<rect width="100%" height="{ROW - 1}" rx="2" fill="{_colour(node.name, row)}"/>'
        f'<text x="4" y="12.5">{_xml(label)}</text></svg>\n'
    )


def fit(name: str, room: int) -> str:
    """As much of a name as *room* letters hold, with ``…`` where something is missing; empty when it would say nothing."""
    used, cut = 0, 0
    for place, sign in enumerate(name, 1):
        used += 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        if used > room:
            return f"{name[:cut]}…" if cut >= 3 else ""
        if used <= room - 1:
            cut = place
    return name


def _colour(name: str, row: int) -> str:
    """By what it is; code of scripts has a shade of its own for each name, the same in every picture."""
    if row == 0 or name == "…":
        return "#dfe3e8"
    if name in ("[collector]", "[waiting]", "[run]"):
        return _KINDS[3][1]
    if name.startswith("[host "):
        return _KINDS[2][1]
    if name.startswith("["):
        return _KINDS[1][1]
    shade = zlib.crc32(name.encode("utf-8", "replace"))
    hue, light = 14 + shade % 37, 66 + shade // 37 % 9
    return f"hsl({hue},{82 + shade // 333 % 12}%,{light}%)"


def _legend(height: int) -> str:
    texts, x = [], MARGIN
    for name, colour in _KINDS:
        texts.append(
            f'<rect x="{x}" y="{height - 21}" width="10" height="10" rx="2" fill="{colour}"/>'
            f'<text class="l" x="{x + 15}" y="{height - 12}">{name}</text>\n'
        )
        x += 34 + 7 * len(name)
    return "".join(texts)


def _percent(share: float) -> str:
    return f"{share * 100:.5f}".rstrip("0").rstrip(".") + "%"


def _xml(text: str) -> str:
    """Escaped, without what XML cannot hold."""
    return escape("".join(sign if _allowed(sign) else "\ufffd" for sign in text))


def _attribute(text: str) -> str:
    return _xml(text).replace('"', "&quot;").replace("\n", " ")


def _allowed(sign: str) -> bool:
    point = ord(sign)
    return sign in "\t\n" or 0x20 <= point < 0xD800 or 0xE000 <= point < 0xFFFE or point > 0xFFFF
