#!/usr/bin/env python3
"""Sends requests of a megabyte at most that cost a parser much, and measures what each costs the server.

  amplification.py --server FILE [--megabytes 64] [--milliseconds 200] [NAME ...]

Memory is the peak of the server's resident memory above what it had at its start, kept answers to earlier inputs included;
time is its time on a processor. Exit status
1 where an input costs more than is allowed, ends the server, or leaves it without an answer for the next client.
"""
import argparse
import sys

from target import Target, body_of, fault_of

MEGABYTE = 1 << 20


def fill(text, size=MEGABYTE - 1024):
    """The text as often as it fits."""
    return text * (size // len(text))


def numbered(form, size=MEGABYTE - 1024):
    """The form with a number in it, as often as it fits."""
    parts, length, number = [], 0, 0
    while length < size:
        parts.append(form % number)
        length += len(parts[-1])
        number += 1
    return "".join(parts[:-1])


def raw(params):
    return ("<methodCall><methodName>ping</methodName><params>%s</params></methodCall>" % params).encode()


def probes(content, **attributes):
    return body_of("RecvProbeData", "<ProbeData>%s</ProbeData>" % content)


def output(text, source="Probes", name="value"):
    """Probe data with one output."""
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return probes('<probe-data name="%s" source="%s">%s</probe-data>' % (name, source, text))


def statistics(content):
    return body_of("RecvStats", '<upload><Node name="one"><Statistics version="2.0" state="dirty">%s</Statistics></Node>'
                                '</upload>' % content)


def inputs():
    """Pairs of name and body."""
    yield "a namespace of 100 KB", statistics(
        '<a xmlns="%s">%s</a>' % ("u" * 100_000, fill("<b/>", 900_000)))
    yield "a namespace of 1000 bytes in each name", statistics(
        '<a xmlns="%s">%s</a>' % ("u" * 1000, fill("<b/>", MEGABYTE - 4096)))
    yield "distinct names in a long namespace", statistics(
        '<a xmlns="%s">%s</a>' % ("u" * 1000, numbered("<b%d/>", MEGABYTE - 4096)))
    yield "many declarations, many elements", statistics(
        "<a %s>%s</a>" % (numbered("xmlns:p%d='u' ", 400_000), fill("<p0:b/>", 600_000)))
    yield "64 declarations, many elements", statistics(
        "<a %s>%s</a>" % ("".join("xmlns:p%d='u%d' " % (n, n) for n in range(64)), fill("<p0:b/>", MEGABYTE - 4096)))
    yield "a declaration in each element", statistics(numbered("<p:b xmlns:p='%d'/>", MEGABYTE - 4096))
    yield "elements of statistics", statistics(fill("<b/>", MEGABYTE - 4096))
    yield "attributes", statistics(fill("<b %s/>" % "".join("a%d='' " % n for n in range(255)), MEGABYTE - 4096))
    yield "a declaration in each element, nested", statistics("".join(
        "<a xmlns:p%d='u'>" % n for n in range(200)) + "</a>" * 200)
    yield "elements, ten deep", statistics(fill("<a>" * 10 + "</a>" * 10, MEGABYTE - 4096))
    yield "comments in text", statistics("<a>%s</a>" % fill("x<!---->", MEGABYTE - 4096))
    yield "references", statistics("<a b='%s'/>" % fill("&#10;", MEGABYTE - 4096))
    yield "line feeds", output(fill("\n"))
    yield "quotation marks", output(fill('"'))
    yield "groups", output(numbered("group:g%d\n"))
    yield "the same group", output(fill("group:g\n"))
    yield "probes", probes(numbered('<probe-data name="p%d" source="Probes"/>', MEGABYTE - 4096))
    yield "unknown sources", probes(numbered('<p source="%d"/>', MEGABYTE - 4096))
    yield "JSON: empty lists", output("[%s[]]" % fill("[],"), "Ohai", "Ohai")
    yield "JSON: numbers", output("[%s0]" % fill("0,"), "Ohai", "Ohai")
    yield "JSON: lists of one number", output("[%s[0]]" % fill("[0],"), "Ohai", "Ohai")
    yield "JSON: deep lists", output(fill("[", 600_000), "Ohai", "Ohai")
    yield "JSON: members", output("{%s\"a\":0}" % numbered('"%d":0,'), "Ohai", "Ohai")
    yield "JSON: members with long names", output("{%s\"a\":0}" % numbered('"a long name of %d":0,'), "Ohai", "Ohai")
    yield "JSON: objects", output("[%s{}]" % fill('{"a":{}},'), "Ohai", "Ohai")
    yield "JSON: escapes", output('"%s"' % fill("\\u0041"), "Ohai", "Ohai")
    yield "JSON: a long text", output('"%s"' % ("x" * (MEGABYTE - 1024)), "Ohai", "Ohai")
    yield "a long version", body_of("DeclareVersion", "1" * (MEGABYTE - 1024))
    yield "a long profile", body_of("AssertProfile", "p" * (MEGABYTE - 1024))
    yield "a long name of a method", body_of("m" * (MEGABYTE - 1024))
    yield "values", raw("<param><value><array><data>%s</data></array></value></param>" % fill("<value/>"))
    yield "lists", raw(fill("<value><array/></value>"))
    yield "members", raw("<param><value><struct>%s</struct></value></param>" % numbered(
        "<member><name>%d</name><value/></member>"))
    yield "elements that are no values", raw(fill("<x/>"))
    yield "attributes that nobody reads", raw(fill("<x a='' b='' c='' d='' e='' f='' g='' h=''/>"))
    yield "texts", raw("<param><value><array><data>%s</data></array></value></param>" % fill(
        "<string>sixteen or more..</string>"))
    yield "an answer that grows", raw("<param><value>%s</value></param>" % fill("&#0000038;"))
    yield "a long integer", raw("<param><value><int>%s</int></value></param>" % ("9" * (MEGABYTE - 1024)))
    yield "ISO-8859-1", b'<?xml version="1.0" encoding="ISO-8859-1"?>' + raw(
        "<param><value>%s</value></param>" % ("x" * (MEGABYTE - 1024))).replace(b"x", b"\xe9")
    yield "sections", raw("<param><value>%s</value></param>" % fill("<![CDATA[]]>"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True)
    parser.add_argument("--megabytes", type=float, default=64)
    parser.add_argument("--milliseconds", type=float, default=200)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    failures = 0
    ran = 0
    with Target(options.server, "Bundler,Cfg,Metadata,Ohai,Probes") as target:
        target.call(body_of("GetConfig"))
        resting = target.status("VmRSS")
        for name, body in inputs():
            if options.names and not any(part in name for part in options.names):
                continue
            if len(body) > MEGABYTE:
                sys.exit("%s has %d bytes" % (name, len(body)))
            ran += 1
            target.forget_peak()
            start = target.cpu()
            status, answer = target.call(body)
            megabytes = (target.status("VmHWM") - resting) / 1e6
            milliseconds = (target.cpu() - start) * 1000
            fault = fault_of(answer)
            # Either carried out, or refused with a fault that says why; 500 is for what is no call.
            is_bad = (megabytes > options.megabytes or milliseconds > options.milliseconds
                      or status != 200 or target.call(body_of("GetConfig"))[0] != 200)
            failures += is_bad
            print("%-4s %6.1f MB %6.0f ms  %4d KB  %s: %s" % (
                "BAD" if is_bad else "ok", megabytes, milliseconds, len(body) // 1024, name,
                fault.faultString[:160] if fault else status))
    print("%d inputs, %d cost too much" % (ran, failures))
    return 1 if failures or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
