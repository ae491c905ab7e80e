#!/usr/bin/env python3
"""Uses bcfg2-web as people do, in a headless Chromium: every page, light and dark, wide and narrow; forms; the keyboard.

    Tests/Web/browser.py [--build .build/debug] [--screenshots FOLDER]

It needs bcfg2-web and bcfg2-admin, and says so and ends well where there is no Chromium.
"""
import argparse
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import devtools  # noqa: E402
from webserver import ROOT, Failures, Site, ending  # noqa: E402


def pages(browser, site):
    """A page of each kind, found by its links."""
    found = ["/", "/grid", "/detailed?sort=-bad", "/grid/state/dirty", "/summary", "/elements/bad", "/elements/extra", "/common/2",
             "/history", "/history/host00002.example.com/1%7C50", "/timing", "/manage", "/search?q=host0000", "/nothing",
             "/client/host00001.example.com"]
    browser.go(site.url + "/detailed?sort=-bad")
    found.append(browser.run("document.querySelector('tbody th a').getAttribute('href')"))
    browser.go(site.url + found[-1])
    found.append(browser.run("document.querySelector('#bad ~ .scroll tbody th ~ td a').getAttribute('href')"))
    browser.go(site.url + "/search?q=/etc/app0/file 0")
    found.append(browser.run("document.querySelector('#entries ~ .scroll td a').getAttribute('href')"))
    # A path with a diff, and one that could not be bound.
    found += ["/element/PathEntry/1", "/element/PathEntry/401", "/element/FailureEntry/1"]
    return found


def check_pages(browser, site, failures, screenshots):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "checks.js")) as file:
        checks = file.read()
    for path in pages(browser, site):
        for scheme, width in (("light", 1280), ("dark", 1280), ("light", 360)):
            browser.scheme(scheme)
            browser.size(width)
            status = browser.go(site.url + path)
            expected = 404 if path == "/nothing" else 200
            failures.check(status == expected, "%s: status %s" % (path, status))
            problems = [text for text in browser.problems if not (expected == 404 and "404" in text)]
            for problem in problems + browser.run(checks):
                failures.check(False, "%s, %s, %d wide: %s" % (path, scheme, width, problem))
            if screenshots:
                name = re.sub(r"\W+", "-", path).strip("-") or "front"
                browser.screenshot(os.path.join(screenshots, "%s-%s-%d.png" % (name, scheme, width)))
    browser.size(1280)
    browser.scheme("light")


def check_names(browser, site, failures):
    """Everything that can be used has a name for screen readers."""
    for path in ("/", "/detailed", "/manage", "/client/host00002.example.com"):
        browser.go(site.url + path)
        for node in browser.call("Accessibility.getFullAXTree")["nodes"]:
            role = node.get("role", {}).get("value")
            if role in ("link", "button", "textbox", "searchbox", "table", "region", "navigation", "img", "heading"):
                failures.check(node.get("name", {}).get("value"), "%s: a %s without name" % (path, role))


def check_keyboard(browser, site, failures):
    browser.go(site.url + "/detailed")
    browser.key("Tab", 9)
    failures.check(browser.run("document.activeElement.className") == "skip", "the first step is not the skip link")
    failures.check(browser.run("document.activeElement.getBoundingClientRect().left >= 0"), "the skip link stays hidden")
    browser.key("Enter", 13, "\r")
    failures.check(browser.run("location.hash") == "#main", "the skip link does not skip")
    order = []
    for _ in range(12):
        browser.key("Tab", 9)
        order.append(browser.run("(document.activeElement.closest('main') ? 'main ' : 'other ') + document.activeElement.tagName"))
        failures.check(browser.run("getComputedStyle(document.activeElement).outlineStyle !== 'none'"), "a focus that is not seen")
    failures.check(all(step.startswith("main ") for step in order), "after the skip link: %s" % order)
    failures.check("main A" in order and "main SUMMARY" in order, "no links or time in the tab order: %s" % order)


def check_forms(browser, site, failures):
    # Search, by keyboard alone.
    browser.go(site.url + "/grid")
    browser.run("document.querySelector('#find').focus()")
    browser.type("host00003")
    browser.events = []
    browser.key("Enter", 13, "\r")
    browser.loaded()
    failures.check(browser.run("document.querySelector('h1').textContent") == "Search: host00003", "search")
    failures.check(browser.run("document.querySelectorAll('#clients ~ .scroll tbody tr').length") == 1, "search finds one client")

    # Time travel.
    browser.go(site.url + "/grid/group/base")
    browser.run("document.querySelector('details.time').open = true; document.querySelector('#cal_date').value = '2020-02-29T13:45'")
    browser.events = []
    browser.run("document.querySelector('details.time button').click()")
    browser.loaded()
    failures.check(browser.run("location.pathname") == "/grid/group/base/2020-02-29/13-45", "time travel leads elsewhere")
    failures.check("2020-02-29 13:45" in browser.run("document.querySelector('.context').textContent"), "the page says no time")

    # Sorting.
    browser.go(site.url + "/detailed")
    browser.events = []
    browser.run("[...document.querySelectorAll('th a')].find((a) => a.textContent === 'Bad').click()")
    browser.loaded()
    failures.check(browser.run("document.querySelector('[aria-sort]').getAttribute('aria-sort')") == "descending", "sorting")
    numbers = browser.run("[...document.querySelectorAll('tbody tr')].map((r) => Number(r.cells[3].textContent.replace(/\\D/g, '')))")
    failures.check(numbers == sorted(numbers, reverse=True), "rows are not sorted: %s" % numbers)

    # Expire and activate.
    for label, state in (("Expire", "expired"), ("Activate", "active")):
        browser.go(site.url + "/manage")
        browser.events = []
        browser.run("document.querySelector('[aria-label=\"%s host00005.example.com\"]').click()" % label)
        browser.loaded()
        notice = browser.run("document.querySelector('.notice').textContent")
        failures.check("host00005.example.com" in notice and state in notice, "%s: %s" % (label, notice))
        browser.go(site.url + "/grid")
        listed = "host00005.example.com" in browser.run("document.body.textContent")
        failures.check(listed == (state == "active"), "%s has no effect on the grid" % label)


def check_policy(browser, site, failures):
    """A page of ours runs no script, even if one came in."""
    browser.go(site.url + "/grid")
    browser.run("{ const s = document.createElement('script'); s.textContent = 'window.ran = true'; document.body.append(s); }")
    failures.check(browser.run("window.ran") is None, "a script ran")
    # Pages need no script at all.
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    failures.check(browser.go(site.url + "/") == 200, "a page without scripts")
    browser.call("Emulation.setScriptExecutionDisabled", value=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, ".build", "debug"))
    parser.add_argument("--screenshots")
    options = parser.parse_args()
    chromium = devtools.find()
    if not chromium:
        print("no Chromium: the pages are not tried in a browser")
        return 0
    failures = Failures()
    site = Site(options.build)
    browser = devtools.Browser(chromium)
    try:
        check_pages(browser, site, failures, options.screenshots)
        check_names(browser, site, failures)
        check_keyboard(browser, site, failures)
        check_forms(browser, site, failures)
        check_policy(browser, site, failures)
    finally:
        browser.close()
        site.close()
    print("%d problems" % len(failures) if failures else "pages are all right in the browser")
    return 1 if failures else 0


if __name__ == "__main__":
    ending.unwind_at_signals()
    sys.exit(main())
