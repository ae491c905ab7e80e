import Testing
import XMLRPC

private func exceeded(_ body: String, bodyBytes: Int = 0) -> LimitExceeded? {
  do throws(MethodCallError) {
    _ = try MethodCall.decode(Array(body.utf8), budget: RequestBudget(bodyBytes: bodyBytes))
    return nil
  } catch {
    return error.exceeded
  }
}

private func call(_ content: String) -> String {
  "<methodCall><methodName>ping</methodName><params>\(content)</params></methodCall>"
}

@Test func elementsThatAreNoValuesAreCharged() {
  let junk = String(repeating: "<x/>", count: 500_000)
  #expect(exceeded(call(junk)) == LimitExceeded("[server] request_elements", 500_000))
  let attributes = String(repeating: "<x a='' b='' c='' d=''/>", count: 100_000)
  #expect(exceeded(call(attributes)) == LimitExceeded("[server] request_elements", 500_000))
}

@Test func textIsChargedAsItIsHeld() {
  let text = String(repeating: "x", count: 5 << 20)
  let two = call("<param><value>\(text)</value></param><param><value>\(text)</value></param>")
  #expect(exceeded(two) == LimitExceeded("[server] request_bytes", 16 << 20))
  // A body of this size may hold as much text.
  #expect(exceeded(two, bodyBytes: two.utf8.count) == nil)
}

@Test func anElementWithManyAttributesIsReadWithoutComparingEachWithEach() throws {
  var limits = HTTPLimits()
  limits.xmlAttributeCount = 100_000
  let names = (0..<100_000).map { "a\($0)=''" }.joined(separator: " ")
  var reader = try XMLReader(Array("<a \(names)/>".utf8), limits: limits)
  guard case .start(_, let attributes) = try reader.next() else { return #expect(Bool(false)) }
  #expect(attributes.count == 100_000)
  for twice in [0, 5, 9, 99_998] {
    var reader = try XMLReader(Array("<a \(names) a\(twice)=''/>".utf8), limits: limits)
    limits.xmlAttributeCount = 100_001
    #expect(throws: XMLError.self) { try reader.next() }
  }
}

@Test func aLimitIsToldWithItsNumber() {
  let deep = String(repeating: "<value><array><data>", count: 30)
  let error = #expect(throws: MethodCallError.self) { try MethodCall.decode(Array(deep.utf8)) }
  #expect(error?.description == "more than xmlDepth (64) allows at byte 427, line 1")
}
