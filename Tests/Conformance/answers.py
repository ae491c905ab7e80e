"""Answers of a server in a form that can be compared: see the head of conform.py."""
import hashlib
import json
import xml.etree.ElementTree as ET


def answer_of(value, step):
    if isinstance(value, str) and value.lstrip().startswith("<"):
        try:
            return {"xml": tree(ET.fromstring(value), step)}
        except ET.ParseError:
            pass
    if step.get("call") == "listMethods" or step.get("sorted"):
        value = sorted(value, key=lambda v: json.dumps(v, sort_keys=True))
    return {"value": shape(value) if step.get("shape") else value}


def shape(value):
    """The types in a value: that of a dict or of a list is the set of those of its items."""
    if isinstance(value, (dict, list)):
        items = value.values() if isinstance(value, dict) else value
        return {type(value).__name__: sorted({json.dumps(shape(item)) for item in items})}
    return type(value).__name__


def tree(element, step):
    """[tag, {attribute: value}, text, [children]], order-free: see the top of this file."""
    attributes = dict(element.attrib)
    for item in step.get("ignore", []):
        tag, _, name = item.partition("@")
        if tag in ("*", element.tag):
            attributes.pop(name, None)
    if "failure" in attributes and not step.get("exact_failure"):
        attributes["failure"] = "*"
    if "revision" in attributes:
        attributes["revision"] = attributes["revision"].strip()
    children = sorted((tree(child, step) for child in element), key=lambda c: json.dumps(c, sort_keys=True))
    text = element.text or ""
    if children and not text.strip():
        text = ""
    elif step.get("loose_text"):
        text = "*" if text.strip() else ""
    elif len(text) > 4096:
        text = "%d characters, SHA-256 %s" % (len(text), hashlib.sha256(text.encode()).hexdigest())
    return [element.tag, attributes, text, children]


def same(answer, wanted):
    if wanted is None:
        return False
    if "fault" in answer and "fault" in wanted:
        return answer["fault"] == wanted["fault"]
    return json.loads(json.dumps(answer)) == wanted


def flatten(item, path=""):
    tag, attributes, text, children = item
    here = "%s/%s[%s]" % (path, tag, attributes.get("name", ""))
    yield "%s %s %r" % (here, " ".join("%s=%r" % kv for kv in sorted(attributes.items())), text)
    for child in children:
        yield from flatten(child, here)


def difference(answer, wanted):
    if "xml" in answer and wanted and "xml" in wanted:
        got, want = list(flatten(answer["xml"])), list(flatten(wanted["xml"]))
        lines = ["      - " + line for line in want if line not in got] + ["      + " + line for line in got if line not in want]
        return "\n".join(line[:600] for line in lines[:12])
    return "      - %s\n      + %s" % (json.dumps(wanted)[:600], json.dumps(answer)[:600])
