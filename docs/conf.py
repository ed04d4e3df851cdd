"""Settings of the site: ``make docs`` builds it into docs/_build/html."""

import pathlib
import sys

DOCS = pathlib.Path(__file__).parent
sys.path.insert(0, str(DOCS))

from site_build import cache, references  # noqa: E402
from site_build import repository as repositories  # noqa: E402

import jaxdiscrete  # noqa: E402

#: Where the repository is. Empty: badges, cells that install, buttons and links to it
#: are left out.
repository = ""

project = "jaxdiscrete"
author = "jaxdiscrete contributors"
project_copyright = "2026, jaxdiscrete contributors"
release = version = jaxdiscrete.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "site_build.figures",
    "site_build.mathml",
    "site_build.references",
    "site_build.repository",
]
exclude_patterns = ["_build", "**/.ipynb_checkpoints", "**.py"]
nitpicky = True

# Pages.
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4

# Examples run once for their source and the version of the library, and tests read what
# they printed. Notebooks are stored with their outputs.
nb_execution_mode = "cache"
nb_execution_cache_path = str(cache.folder())
nb_execution_excludepatterns = ["notebooks/*"]
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
repositories.copy_notebooks(DOCS / "notebooks", repository)

# Docstrings.
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"
autodoc_default_options = {"members": False}
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
intersphinx_mapping = references.reachable()
intersphinx_timeout = 5

# Looks.
html_theme = "sphinx_book_theme"
html_title = "jaxdiscrete"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_theme_options = {
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "home_page_in_toc": False,
    "navbar_persistent": [],
    "use_download_button": False,
    "use_fullscreen_button": False,
    **repositories.theme_options(repository),
}
html_context = {"default_mode": "auto"}
html_copy_source = False
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"
