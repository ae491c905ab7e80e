"""Results of cases, for people and for programs.

A result has name, description, status, seconds, and where it did not pass a reason.
"""
import json
import re
import xml.etree.ElementTree as ET

PASSED, FAILED, SKIPPED, DONE = "passed", "failed", "skipped", "done"
# What XML 1.0 cannot have.
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def line(result):
    status = result["status"]
    if status == FAILED:
        return "FAIL %s: %s\n%s" % (result["name"], result["description"], result["reason"])
    if status == DONE:
        return result["text"]
    return "ok   " + result["name"] if status == PASSED else "skip %s: %s" % (result["name"], result["reason"])


def count(results, status):
    return sum(result["status"] == status for result in results)


def summary(results):
    return "%d passed, %d failed, %d skipped" % tuple(count(results, status) for status in (PASSED, FAILED, SKIPPED))


def status(results):
    """The exit status of a check."""
    return 1 if count(results, FAILED) else 0 if count(results, PASSED) else 3


def junit(results, name):
    """A JUnit XML document: a test case for each case."""
    suite = ET.Element("testsuite", name=name, tests=str(len(results)), failures=str(count(results, FAILED)), errors="0",
                       skipped=str(count(results, SKIPPED)), time="%.3f" % sum(result["seconds"] for result in results))
    for result in results:
        test = ET.SubElement(suite, "testcase", classname="bcfg2." + result["name"].partition("-")[0], name=result["name"],
                             time="%.3f" % result["seconds"])
        if result["status"] == FAILED:
            ET.SubElement(test, "failure", message=result["description"]).text = NO_XML.sub("?", result["reason"])
        elif result["status"] == SKIPPED:
            ET.SubElement(test, "skipped", message=result["reason"])
    suites = ET.Element("testsuites")
    suites.append(suite)
    return ET.tostring(suites, encoding="utf-8", xml_declaration=True)


def write(path, results, options):
    """Writes results as JSON or JUnit XML, by the file's name."""
    if path.endswith(".json"):
        counts = {status: count(results, status) for status in (PASSED, FAILED, SKIPPED)}
        document = {"server": options.server, "version": options.version, "settings": options.conf, "counts": counts,
                    "results": results}
        content = (json.dumps(document, indent=1) + "\n").encode()
    else:
        content = junit(results, "conformance with Bcfg2 " + (options.version or "1.3.4 or 1.4"))
    with open(path, "wb") as f:
        f.write(content)
