"""The built site in a browser without a window: the pages as readers see them.

``make docs`` builds the site; the browser is the system's Chromium.
"""

import functools
import http.server
import shutil
import threading

import pytest

from tests.helpers.documents import ROOT

# A browser takes a minute, and only where the site has been built.
pytestmark = pytest.mark.thorough
HTML = ROOT / "docs" / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDE, PHONE = {"width": 1300, "height": 900}, {"width": 390, "height": 844}
#: Names of pages of each kind.
SHOWN = [
    "index",
    "getting_started",
    "estimators",
    "how_it_works",
    "distributions",
    "guides/choosing",
    "guides/from_optax_monte_carlo",
    "guides/sequences",
    "reference/score_function",
    "reference/core",
    "gallery/discrete_vae",
    "experiments/results",
    "notebooks/quickstart",
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    """Of a server of the built site, on this machine."""
    if not (HTML / "index.html").exists():
        pytest.skip("make docs has not built the site")
    handler = functools.partial(Quiet, directory=str(HTML))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser(address):
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="a browser is driven by the extra docs"
    )
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser is installed: none of {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser, address, name, **options):
    """A page, and what went wrong: errors of scripts, requests that failed or left."""
    page = browser.new_context(**options).new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    page.on(
        "response", lambda r: wrong.append(f"{r.status} {r.url}") if not r.ok else None
    )

    def local(route):
        if not route.request.url.startswith(address):
            wrong.append(f"asked for {route.request.url}")
        route.continue_()

    page.route("**/*", local)
    page.goto(f"{address}/{name}.html")
    return page, wrong


@pytest.mark.parametrize("name", SHOWN)
def test_pages_are_whole(browser, address, name):
    for size, scheme in ((WIDE, "light"), (PHONE, "dark")):
        page, wrong = opened(browser, address, name, viewport=size, color_scheme=scheme)
        page.evaluate("for (const i of document.images) i.loading = 'eager'")
        page.wait_for_load_state("networkidle")
        broken = "[...document.images].filter(i => !i.naturalWidth).map(i => i.src)"
        assert page.evaluate(broken) == []
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"], f"{name} is {width} pixels wide"
        assert wrong == []
        page.context.close()


def test_formulas_are_drawn_without_a_script(browser, address):
    page, _ = opened(
        browser, address, "reference/score_function", java_script_enabled=False
    )
    formulas = page.locator("math")
    assert formulas.count() > 20
    fraction = page.locator("math msub").first.bounding_box()
    assert fraction["height"] > 5
    text = page.locator("article").inner_text()
    assert "\\nabla" not in text
    assert "\\frac" not in text
    page.context.close()


def test_the_search_finds_an_estimator(browser, address):
    page, wrong = opened(browser, address, "search")
    page.goto(f"{address}/search.html?q=reinforce_loo")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    found = page.locator("#search-results li").all_inner_texts()
    assert any("jaxdiscrete.reinforce_loo" in text for text in found)
    assert wrong == []
    page.context.close()
