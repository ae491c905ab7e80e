import Formats
import Repository
import Testing

@testable import XMLRPC

/// Documents of clients are charged to one budget, and refused over it with the limit's name.
@Suite struct RequestBudgetTests {
  /// The limit that a document goes over; nil where it is read.
  private func exceeded(_ document: String, _ budget: RequestBudget? = nil) -> LimitExceeded? {
    do throws(XMLError) {
      _ = try ClientDocument.parse(document, budget: budget)
      return nil
    } catch {
      #expect(error.exceeded != nil, "\(error)")
      return error.exceeded
    }
  }

  private func repeated(_ text: String, upTo bytes: Int) -> String {
    String(repeating: text, count: bytes / text.utf8.count)
  }

  @Test func aNamespaceIsNotCopiedIntoEachTag() throws {
    let budget = RequestBudget(bodyBytes: 0)
    let uri = String(repeating: "u", count: 1024)
    let elements = String(repeating: "<b c='1'/>", count: 20_000)
    let root = try ClientDocument.parse("<a xmlns='\(uri)'>\(elements)</a>", budget: budget)
    #expect(root.children.count == 20_000)
    #expect(root.children[19_999].tag == "{\(uri)}b")
    #expect(budget.nameBytes < 4 * 1024)
  }

  @Test func aLongNamespaceIsRefused() {
    let uri = String(repeating: "u", count: 1025)
    #expect(exceeded("<a xmlns='\(uri)'/>") == LimitExceeded("xmlNamespaceBytes", 1024))
    #expect(exceeded("<a xmlns:p='\(uri)'/>") == LimitExceeded("xmlNamespaceBytes", 1024))
  }

  @Test func distinctNamesUnderALongNamespaceAreRefused() {
    let uri = String(repeating: "u", count: 1024)
    let elements = (0..<100_000).map { "<b\($0)/>" }.joined()
    #expect(exceeded("<a xmlns='\(uri)'>\(elements)</a>") == LimitExceeded("requestNameBytes", 4 << 20))
  }

  @Test func declarationsInForceAreBounded() {
    func document(_ count: Int) -> String {
      let names = (0..<count).map { "xmlns:p\($0)='u\($0)'" }.joined(separator: " ")
      return "<a \(names)><p0:b/></a>"
    }
    #expect(exceeded(document(64)) == nil)
    #expect(exceeded(document(65)) == LimitExceeded("xmlNamespaces", 64))
    let nested = (0..<65).map { "<a xmlns:p\($0)='u'>" }.joined() + String(repeating: "</a>", count: 65)
    #expect(exceeded(nested) == LimitExceeded("xmlNamespaces", 64))
    // Declarations of siblings are not in force at the same time.
    let list = "<l>" + (0..<1000).map { "<a xmlns:p\($0)='u'/>" }.joined() + "</l>"
    #expect(exceeded(list) == nil)
  }

  @Test func elementsAndWhatTheyTakeAreBounded() {
    var limits = HTTPLimits()
    limits.requestElements = 10
    let ten = "<a>" + String(repeating: "<b c=''/>", count: 4) + "<!-- d --></a>"
    #expect(exceeded(ten, RequestBudget(limits: limits, bodyBytes: 0)) == nil)
    #expect(
      exceeded("<a>\(ten)</a>", RequestBudget(limits: limits, bodyBytes: 0))
        == LimitExceeded("[server] request_elements", 10))
    let million = "<a>" + repeated("<b/>", upTo: 1 << 20) + "</a>"
    #expect(exceeded(million) == LimitExceeded("[server] request_bytes", 16 << 20))
    let comments = "<a>" + repeated("<!---->", upTo: 4 << 20) + "</a>"
    #expect(exceeded(comments) == LimitExceeded("[server] request_elements", 500_000))
  }

  @Test func readersOfOneRequestChargeOneBudget() throws {
    let budget = RequestBudget(bodyBytes: 1 << 20)
    let document = "<a>" + repeated("<b/>", upTo: 300_000) + "</a>"
    try RequestBudget.$current.withValue(budget) {
      _ = try ClientDocument.parse(document)
      let held = budget.heldBytes
      #expect(exceeded(document) == LimitExceeded("[server] request_bytes", 16 << 20))
      #expect(budget.heldBytes > held)
      #expect(throws: JSONError.self) { try JSONValue(json: "[1]") }
    }
    #expect(try JSONValue(json: "[1]") == .array([.integer(1)]))
  }

  @Test func valuesOfJSONAreCharged() throws {
    let budget = RequestBudget(bodyBytes: 0)
    let names = (0..<1000).map { _ in "{\"a long name of a member\": 1}" }.joined(separator: ",")
    _ = try JSONValue(json: "[\(names)]", budget: budget)
    #expect(budget.elements == 2001)
    #expect(budget.nameBytes < 100)
    let error = #expect(throws: JSONError.self) { try JSONValue(json: "[" + repeated("0,", upTo: 2 << 20) + "0]") }
    #expect(error?.description.contains("[server] request_elements (500000)") == true)
    let lists = #expect(throws: JSONError.self) { try JSONValue(json: repeated("[{},", upTo: 1 << 20)) }
    #expect(lists?.description.contains("Nested too deeply") == true)
  }
}
