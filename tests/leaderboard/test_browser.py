"""The page in a real browser: nothing runs, nothing is fetched, nothing overflows, everything is readable."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from record_factory import failure, make_record, score, write_all

from bench_leaderboard.page import render

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no chromium on PATH: apt-get install chromium"),
]
EVIL = "<img src=x onerror='window.XSS=1'><script>window.XSS=1</script>"
CONTRAST = """
() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const ratios = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    ratios.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.className + element.tagName]);
  }
  return ratios.sort((x, y) => x[0] - y[0])[0];
}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with everything on it, evil names and long tables too."""
    results = tmp_path_factory.mktemp("results")
    suspect = [{"kind": "suspect", "reason": EVIL}]
    part = [score("nmi", 0.5), score("nmi", 0.1, part={"shots": "1"})]
    long = {f"option_{i}_" + "x" * 40: "y" * 60 for i in range(3)}
    write_all(
        results,
        make_record(),
        make_record(seed=1),
        make_record(
            model__name=EVIL, model__reference="javascript:window.XSS=1", flags=suspect, dataset__notices=[EVIL]
        ),
        make_record(model__name="m" * 120, model__config=long, scores=part, model__weights="untrained"),
        make_record(dataset__name="kang", dataset__identity="kang", dataset__semi_simulated=True),
        failure("oom", "out of memory " * 20, model__name="scvi"),
        failure("incompatible", EVIL, model__name="harmony"),
    )
    return render(results, results / "leaderboard", defaults=lambda *_: None).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_runs_and_nothing_overflows(address: str, browser: Any, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
    assert said == []
    assert asked == [address]
    assert page.evaluate("window.XSS") is None
    assert page.locator("img, script, iframe").count() == 0
    assert EVIL in page.inner_text("main")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ratio, where = page.evaluate(CONTRAST)
    assert ratio >= 4.5, where  # WCAG 2.2 AA for text
    context.close()


def test_the_keyboard_reaches_results_and_tables(address: str, browser: Any) -> None:
    page = browser.new_page()
    page.goto(address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "results"
    assert page.locator("[role=region][tabindex='0'][aria-labelledby]").count() == page.locator(".scroll").count() > 0
    page.close()


def test_the_style_is_the_pages_own(address: str, browser: Any) -> None:
    """The policy that forbids everything else lets the page's style through."""
    page = browser.new_page()
    page.goto(address)
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "auto"
    page.close()


def test_links_of_records_open(address: str, browser: Any) -> None:
    page = browser.new_page()
    page.goto(address)
    target = page.locator(".records a").first.get_attribute("href")
    assert (Path(address.removeprefix("file://")).parent / str(target)).is_file()
    page.close()
