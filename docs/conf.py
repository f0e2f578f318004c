"""Settings of the documentation: everything is made here, and nothing is loaded from elsewhere."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

project = "disentangle_pl"
author = "the authors of disentangle_pl"
html_title = project
html_theme = "furo"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "docs.extension.mathml",
    "docs.extension.docstrings",
    "docs.extension.generated",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["build", "extension", "fragments"]
html_static_path = ["static"]
html_css_files = ["own.css"]
html_math_renderer = "mathml"
html_show_search_summary = False  # it asks for pages, which a browser refuses for files of a disk
html_copy_source = False
html_use_index = False
html_show_copyright = False
html_domain_indices = False
html_baseurl = ""
pygments_style = "friendly"
pygments_dark_style = "monokai"
templates_path: list[str] = []

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_attr_annotations = False

nitpicky = True
# Annotations name classes of torch, numpy and our own by their short names: they are text here, not links.
nitpick_ignore_regex = [("py:.*", ".*")]
