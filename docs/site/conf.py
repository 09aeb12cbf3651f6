"""The site: `make docs` builds the pages of the repository, and the API from docstrings, into build/site."""

import importlib.metadata
import sys
from pathlib import Path

import reports

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))
from added import newest  # noqa: E402

project = "ptycho-validation"
version = release = importlib.metadata.version(project)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
extensions += ["added", "names", "accessible"]  # beside this file
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/api/*.rst"]
# Folders that hold no page are not even looked through.
exclude_patterns = [entry.name for entry in ROOT.iterdir() if entry.is_dir() and entry.name != "docs"]
if not hasattr(reports, "frame"):
    exclude_patterns.append("docs/api/frame.rst")
myst_heading_anchors = 3  # with the names that GitHub gives
default_role = "py:obj"
nitpicky = True
# Of other libraries, which are not looked up: that would need the network.
nitpick_ignore_regex = [("py:.*", r"(collections|numpy|pandas|pathlib|pd|np|typing)\..*|NDArray|Path")]

# Signatures and docstrings need no library of the kernels.
autodoc_mock_imports = ["tensorflow", "scipy", "h5py", "llvmlite"]
autodoc_type_aliases = {"Arguments": "Arguments"}
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["static"]
html_js_files = ["search.js"]
html_css_files = ["site.css"]
html_extra_path = [str(path) for path in newest()]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
