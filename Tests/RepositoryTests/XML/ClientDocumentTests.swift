import Repository
import Testing
import XMLRPC

/// What clients send is bounded, and never expands.
@Suite struct ClientDocumentTests {
  @Test func statisticsMayHaveLargeAttributes() throws {
    let difference = String(repeating: "YmFzZTY0", count: 20_000)
    let others = (0..<30).map { " a\($0)=\"x\"" }.joined()
    let document = try ClientDocument.parse(
      "<upload-statistics><Path current_bdiff=\"\(difference)\"\(others)/></upload-statistics>")
    #expect(document.children[0]["current_bdiff"] == difference && document.children[0].attributes.count == 31)
  }

  @Test(arguments: [
    ("<!DOCTYPE a><a/>", "document type is not allowed"),
    ("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", "document type is not allowed"),
    ("<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>", "document type is not allowed"),
    ("<a>&b;</a>", "unknown entity"), ("<a b=\"&b;\"/>", "unknown entity"),
    (String(repeating: "<a>", count: 257) + String(repeating: "</a>", count: 257), "xmlDepth"),
    ("<a" + (0..<257).map { " a\($0)=\"\"" }.joined() + "/>", "xmlAttributeCount"),
    ("<" + String(repeating: "a", count: 257) + "/>", "xmlNameBytes"),
  ])
  func whatIsBeyondABoundOrExpandsIsRefusedByName(text: String, reason: String) {
    do throws(XMLError) {
      _ = try ClientDocument.parse(text)
      Issue.record("it was read")
    } catch {
      #expect("\(error)".contains(reason))
    }
  }

  @Test func documentsAtTheirBoundsAreRead() throws {
    let deep = String(repeating: "<a>", count: 256) + String(repeating: "</a>", count: 256)
    #expect(try ClientDocument.parse(deep).tag == "a")
    let wide = "<a" + (0..<256).map { " a\($0)=\"\"" }.joined() + "/>"
    #expect(try ClientDocument.parse(wide).attributes.count == 256)
  }

  /// Found by the fuzzer: a name was split inside of such a namespace when it was written. lxml takes none that is no URI.
  @Test func namespaceWithABraceIsRefused() {
    let source = Array("<Bundle><a:Path xmlns:a=\"{}}\" a:b=\"c\"/></Bundle>".utf8)
    #expect(throws: XMLFileError.self) { _ = try RepositoryXML.parse(source, path: "a.xml") }
  }
}
