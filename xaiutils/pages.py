"""An executed notebook as one self-contained HTML page, which asks nothing of any other host.

nbconvert's own template loads require.js, MathJax, mermaid and the widgets' manager from public
servers. Here they are left out: formulas become MathML, which browsers draw by themselves, and
widgets show as the text that stands beside them.
"""

import re
from base64 import b64decode, b64encode
from copy import deepcopy
from io import BytesIO
from pathlib import Path

from bs4 import BeautifulSoup
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from PIL import Image

from xaiutils.report import LARGE, jpeg, on_white

# nbconvert's, and the caption as alt text
IMAGE = """
<div class="jp-RenderedImage jp-OutputArea-output">
<img src="data:image/png;base64,{{ output.data['image/png'] | escape_html }}"
alt="{{ cell.metadata.get('alt', '') | escape_html }}"
{%- if output.metadata.get('image/png', {}).width %}
width="{{ output.metadata['image/png'].width }}"{% endif %}></div>
"""
TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block data_png scoped %}IMAGE{% endblock %}
{% block data_jpg scoped %}IMAGE{% endblock %}
""".replace("IMAGE", IMAGE, 1).replace("IMAGE", IMAGE.replace("png", "jpeg"))
WIDGET = "application/vnd.jupyter.widget-view+json"
MATHML = "http://www.w3.org/1998/Math/MathML"
# where a page can make the browser fetch something without a click
REQUESTS = ("script[src]", "link[href]", "img[src]", "iframe[src]", "source[src]", "video[src]")


class MathMLRenderer(IPythonRenderer):
    """Markdown with LaTeX formulas as MathML."""

    def inline_math(self, body: str) -> str:
        return _mathml(body, "inline")

    def block_math(self, body: str) -> str:
        return _mathml(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return _mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")


def _mathml(latex: str, display: str) -> str:
    # HTML needs no namespace, and nbconvert makes prefixed tags of it in headings
    return convert(latex, display=display).replace(f' xmlns="{MATHML}"', "")


def to_html(notebook: NotebookNode, title: str, folder: Path) -> str:
    """The page of an executed notebook; `folder` is where its local images are looked up."""

    def markdown(source: str) -> str:
        # escaped: our own Markdown holds no HTML, but sentences hold names and labels of files
        renderer = MathMLRenderer(escape=True, embed_images=True, path=str(folder))
        return MarkdownWithMath(renderer=renderer).render(source)

    exporter = HTMLExporter(raw_template=TEMPLATE, filters={"markdown2html": markdown})
    resources = {"metadata": {"name": title, "path": str(folder)}}
    return exporter.from_notebook_node(_for_pages(notebook), resources)[0]


def _for_pages(notebook: NotebookNode) -> NotebookNode:
    """A copy without widgets, photographs as JPEG (a tenth of the size), captions as alt text."""
    notebook = deepcopy(notebook)
    notebook.metadata.pop("widgets", None)
    for place, cell in enumerate(notebook.cells):
        if caption := _caption_after(notebook.cells[place + 1 :]):
            cell.metadata["alt"] = caption
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop(WIDGET, None)
            if len(data.get("image/png", "")) > LARGE * 4 / 3:  # base64
                data["image/jpeg"] = _jpeg(data.pop("image/png"))
    return notebook


def _caption_after(cells: list[NotebookNode]) -> str:
    """The caption of a figure, "*Figure 2: ...*", in the next cell of text; "" if it has none."""
    source = next((cell.source for cell in cells if cell.cell_type == "markdown"), "")
    found = re.match(r"\*(Figure[^*]*)\*", source)
    return found[1] if found else ""


def _jpeg(png: str) -> str:
    """A base64 PNG as base64 JPEG on white."""
    return b64encode(jpeg(on_white(Image.open(BytesIO(b64decode(png)), formats=["PNG"])))).decode()


def remote_sources(html: str) -> list[str]:
    """What a browser would fetch from elsewhere on opening the page; empty if self-contained."""
    soup = BeautifulSoup(html, "html.parser")
    found = [tag.get("src") or tag.get("href") for tag in soup.select(", ".join(REQUESTS))]
    for style in soup.select("style, [style]"):
        text = style.get("style") or style.get_text()
        found += re.findall(r"""(?:url\(|@import)\s*["']?([^"')\s;]+)""", text)
    for script in soup.select("script:not([src])"):
        found += re.findall(r"""(?:from|import)\s*\(?["'](https?:[^"']+)""", script.get_text())
    return [source for source in found if not source.startswith(("data:", "#"))]
