import CoreSupport
import Repository
import Support
import Testing
import XMLRPC

@testable import Core

/// Documents, what Match and XMLMatch of Bcfg2 1.4's StructFile give for a client `c` in groups `g` and `h`.
@Test(arguments: [
  (
    "<B><P n=\"1\"/><Group name=\"g\"><P n=\"2\"/></Group><P n=\"3\"/></B>",
    "<P n=\"1\"/><P n=\"2\"/><P n=\"3\"/>", "<B><P n=\"1\"/><P n=\"3\"/><P n=\"2\"/></B>"
  ),
  (
    "<B><Group name=\"g\"><P n=\"1\"/><Group name=\"h\"><P n=\"2\"/></Group><P n=\"3\"/></Group><P n=\"4\"/></B>",
    "<P n=\"1\"/><P n=\"2\"/><P n=\"3\"/><P n=\"4\"/>", "<B><P n=\"4\"/><P n=\"1\"/><P n=\"2\"/><P n=\"3\"/></B>"
  ),
  (
    "<B><Group name=\"g\" negate=\"TRUE\"><P n=\"1\"/></Group><Group name=\"no\" negate=\"true\"><P n=\"2\"/></Group></B>",
    "<P n=\"2\"/>", "<B><P n=\"2\"/></B>"
  ),
  (
    """
    <B><Client name="c"><P n="1"/></Client><Client name="C"><P n="2"/></Client>\
    <Client name="x" negate="true"><P n="3"/></Client></B>
    """,
    "<P n=\"1\"/><P n=\"3\"/>", "<B><P n=\"1\"/><P n=\"3\"/></B>"
  ),
  (
    """
    <B><P n="1">t<Group name="g">u<Q/><Group name="h">v</Group></Group><Group name="no">w<R/></Group><S/></P></B>
    """,
    "<P n=\"1\">t<Q/><S/></P>", "<B><P n=\"1\">tvu<S/><Q/></P></B>"
  ),
  (
    "<B>x<!-- c --><Group name=\"g\">y<!-- d --><P/></Group><P a=\"1\"><!-- e --></P></B>",
    "<P/><P a=\"1\"/>", "<B>xy<P a=\"1\"/><P/></B>"
  ),
  (
    "<B><Group name=\"g\"/><Group><P n=\"1\"/></Group><Group negate=\"true\"><P n=\"2\"/></Group></B>",
    "<P n=\"2\"/>", "<B><P n=\"2\"/></B>"
  ),
  ("<Group name=\"no\"><P/></Group>", "<P/>", "<Group name=\"no\"><P/></Group>"),
  (
    """
    <B><P><Group name="g"><Client name="c"><Q/></Client></Group><Group name="no"><Q/></Group></P>\
    <Group name="g"><P><Group name="h"><Z/></Group><Y/></P></Group></B>
    """,
    "<P><Q/></P><P><Z/><Y/></P>", "<B><P><Q/></P><P><Y/><Z/></P></B>"
  ),
]) func conditionsChooseAsInBcfg2(document: String, matched: String, xmlMatched: String) throws {
  let structure = CompiledStructure(try tree(document), path: "t.xml")
  let metadata = clientMetadata("c", groups: ["g", "h"])
  #expect(structure.match(metadata).map { text(of: $0) }.joined() == matched)
  #expect(text(of: structure.xmlMatch(metadata)) == xmlMatched)
}

@Test func whatIsMatchedIsACopy() throws {
  let structure = CompiledStructure(try tree("<B><P><Q/></P></B>"), path: "t.xml")
  let first = structure.xmlMatch(clientMetadata())
  first.children[0]["changed"] = "yes"
  first.children[0].children.removeAll()
  #expect(text(of: structure.xmlMatch(clientMetadata())) == "<B><P><Q/></P></B>")
}

@Test(arguments: [
  ("f", Specificity?.some(.all)), ("f.H_a.b", .host("a.b")), ("f.G10_g_h", .group("g_h", priority: 10)),
  ("dir/f.G0_x", .group("x", priority: 0)), ("f.G_x", nil), ("f.G1x", nil), ("f.H_", nil), ("f.x", nil), ("fx", nil),
  ("g", nil), ("f.H_a b", nil), ("f.G99999999999999999999_g", .group("g", priority: .max)),
]) func specificityIsReadOffFileNames(name: String, expected: Specificity?) {
  #expect(Specificity(fileName: name, baseName: "f") == expected)
}

@Test func hostsComeBeforeGroupsByPriorityBeforeAll() {
  let sorted: [Specificity] = [
    .host("h"), .group("b", priority: 50), .group("a", priority: 10), .group("c", priority: 2), .all,
  ]
  #expect(sorted.reversed().sorted() == sorted)
  #expect(sorted.map { $0.matches(clientMetadata("h", groups: ["a"])) } == [true, false, true, false, true])
}

@Test(arguments: [
  ("/etc/*.conf", "/etc/app/a.conf", true), ("/srv/?", "/srv/1", true), ("/srv/?", "/srv/22", false),
  ("[!a-c]x", "dx", true), ("[!a-c]x", "bx", false), ("[]x]", "]", true), ("[x", "[x", true), ("*", "", true),
  ("a*b*c", "aXbYbZc", true), ("a*b*c", "aXbYbZ", false), ("", "", true), ("**", "x", true), ("é?", "éx", true),
  ("[a-]", "-", true), ("*.xml", "x.xml~", false),
]) func globsFitAsFnmatchDoes(pattern: String, name: String, fits: Bool) {
  #expect(Glob(pattern).matches(name) == fits)
}

@Test(arguments: [
  ("%{name}.service", "nginx.service"), ("%% %name %{other} 100%", "% nginx %{other} 100%"), ("%names", "%names"),
  ("%{name}-%{name}", "nginx-nginx"), ("%NAME", "%NAME"), ("plain", "plain"), ("%", "%"), ("%{name", "%{name"),
]) func namesAreReplacedAsPythonsTemplatesDo(template: String, expected: String) {
  #expect(NameTemplate.substitute(template, name: "nginx") == expected)
}
