import Testing
import XMLRPC

private func text(_ segments: ByteSegments) -> String {
  String(decoding: segments.bytes(), as: UTF8.self)
}

private func response(_ value: String) -> String {
  "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n\(value)</param>\n</params>\n</methodResponse>\n"
}

/// Values with what Python 2.7's xmlrpclib.dumps((value,), methodresponse=True, allow_none=True) writes for them.
private let recordings: [(Value, String)] = [
  (.nil, "<value><nil/></value>"),
  (true, "<value><boolean>1</boolean></value>\n"),
  (false, "<value><boolean>0</boolean></value>\n"),
  (1, "<value><int>1</int></value>\n"),
  (-2_147_483_648, "<value><int>-2147483648</int></value>\n"),
  (2_147_483_647, "<value><int>2147483647</int></value>\n"),
  (0.1, "<value><double>0.1</double></value>\n"),
  (1.0, "<value><double>1.0</double></value>\n"),
  (1e15, "<value><double>1000000000000000.0</double></value>\n"),
  (9.5e15, "<value><double>9500000000000000.0</double></value>\n"),
  (1e16, "<value><double>1e+16</double></value>\n"),
  (123_456_789_012_345_680.0, "<value><double>1.2345678901234568e+17</double></value>\n"),
  (1e22, "<value><double>1e+22</double></value>\n"),
  (0.0001, "<value><double>0.0001</double></value>\n"),
  (1e-5, "<value><double>1e-05</double></value>\n"),
  (.double(-0.0), "<value><double>-0.0</double></value>\n"),
  (.double(.leastNonzeroMagnitude), "<value><double>5e-324</double></value>\n"),
  (.double(.greatestFiniteMagnitude), "<value><double>1.7976931348623157e+308</double></value>\n"),
  (.double(.infinity), "<value><double>inf</double></value>\n"),
  ("a&b<c>\"'", "<value><string>a&amp;b&lt;c&gt;\"'</string></value>\n"),
  ("\u{E9}\u{20AC}", "<value><string>\u{E9}\u{20AC}</string></value>\n"),
  ("", "<value><string></string></value>\n"),
  ([], "<value><array><data>\n</data></array></value>\n"),
  (
    [1, "a", [.nil]],
    "<value><array><data>\n<value><int>1</int></value>\n<value><string>a</string></value>\n"
      + "<value><array><data>\n<value><nil/></value></data></array></value>\n</data></array></value>\n"
  ),
  (
    ["a": 1, "b": [true]],
    "<value><struct>\n<member>\n<name>a</name>\n<value><int>1</int></value>\n</member>\n"
      + "<member>\n<name>b</name>\n<value><array><data>\n<value><boolean>1</boolean></value>\n</data></array></value>\n"
      + "</member>\n</struct></value>\n"
  ),
  (.structure([]), "<value><struct>\n</struct></value>\n"),
  (.bytes([]), "<value><base64>\n</base64></value>\n"),
  (
    .bytes([UInt8](repeating: UInt8(ascii: "x"), count: 60)),
    "<value><base64>\n"
      + "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4\neHh4\n</base64></value>\n"
  ),
  (.dateTime("20240101T00:00:00"), "<value><dateTime.iso8601>20240101T00:00:00</dateTime.iso8601></value>\n"),
]

@Test func valuesAreWrittenAsPythonWritesThemAndReadBack() throws {
  for (value, recorded) in recordings {
    let encoded = MethodResponse.encode(value)
    #expect(text(encoded) == response(recorded), "\(value)")
    #expect(encoded.count == encoded.bytes().count)
    #expect(try MethodResponse.decode(encoded.bytes()) == .success(value), "\(value)")
  }
}

@Test func valuesThatPythonCannotWriteAreWrittenReadably() throws {
  let table: [(Value, String, Value)] = [
    (2_147_483_648, "<value><i8>2147483648</i8></value>\n", 2_147_483_648),
    (-2_147_483_649, "<value><i8>-2147483649</i8></value>\n", -2_147_483_649),
    ("a\rb", "<value><string>a&#13;b</string></value>\n", "a\rb"),
    ("a\u{1}b", "<value><string>a\u{FFFD}b</string></value>\n", "a\u{FFFD}b"),
  ]
  for (value, written, read) in table {
    #expect(text(MethodResponse.encode(value)) == response(written))
    #expect(try MethodResponse.decode(Array(response(written).utf8)) == .success(read))
  }
  #expect(text(MethodResponse.encode(.double(-Double.nan))) == response("<value><double>nan</double></value>\n"))
}

@Test func faultsAreWrittenAsPythonWritesThem() throws {
  let fault = Fault(code: 1, string: "a<b")
  let encoded = MethodResponse.encode(fault: fault)
  #expect(
    text(encoded) == "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n"
      + "<name>faultCode</name>\n<value><int>1</int></value>\n</member>\n<member>\n<name>faultString</name>\n"
      + "<value><string>a&lt;b</string></value>\n</member>\n</struct></value>\n</fault>\n</methodResponse>\n")
  #expect(try MethodResponse.decode(encoded.bytes()) == .failure(fault))
}

@Test func faultsCarryBcfg2sCodesAndTexts() {
  #expect(Fault.critical("x") == Fault(code: -32500, string: "Critical failure: x"))
  #expect(Fault.unknownMethod("Nope") == Fault(code: -32601, string: "Unknown method Nope"))
  #expect(Fault.failure("broken") == Fault(code: 1, string: "broken"))
  #expect(Fault.unexpected(type: "ValueError", message: "no") == Fault(code: 1, string: "ValueError:no"))
}

@Test func callsAreWrittenAsPythonWritesThemAndReadBack() throws {
  let start = "<?xml version='1.0'?>\n<methodCall>\n<methodName>GetConfig</methodName>\n<params>\n"
  let table: [([Value], String)] = [
    ([], "</params>\n</methodCall>\n"),
    (
      [1, "x"],
      "<param>\n<value><int>1</int></value>\n</param>\n<param>\n<value><string>x</string></value>\n</param>\n"
        + "</params>\n</methodCall>\n"
    ),
  ]
  for (params, rest) in table {
    let call = MethodCall(method: "GetConfig", params: params)
    #expect(text(call.encode()) == start + rest)
    #expect(try MethodCall.decode(call.encode().bytes()) == call)
  }
}

@Test func escapedBytesAreSharedAndReadBack() throws {
  let document = "<Configuration>" + String(repeating: "<Path name='/\u{E9}&amp;'/>\n", count: 500) + "</Configuration>"
  let escaped = ByteSegments(XMLEscape.escaped(document, as: .text))
  let encoded = MethodResponse.encode(.escaped(escaped))
  #expect(encoded.segments.count == 3 && encoded.segments[1] == escaped.segments[0])
  #expect(encoded == MethodResponse.encode(.string(document)))
  #expect(try MethodResponse.decode(encoded.bytes()) == .success(.string(document)))
  let small = MethodResponse.encode(.escaped(ByteSegments("&lt;a/&gt;")))
  #expect(small.segments.count == 1 && small == MethodResponse.encode("<a/>"))
}

@Test func otherResponsesAreRefused() {
  for text in [
    response(""), response("<value>1</value><value>2</value>"), "<methodCall><methodName>m</methodName></methodCall>",
    "<methodResponse><fault><value>1</value></fault></methodResponse>", "<methodResponse/>",
  ] {
    #expect(throws: MethodCallError.self, "\(text)") { try MethodResponse.decode(Array(text.utf8)) }
  }
}

@Test func valuesGiveWhatTheyAre() {
  let value: Value = ["name": "n", "list": [1, true], "data": .bytes([1])]
  #expect(value["name"]?.string == "n" && value["name"]?.contents == latin1("n"))
  #expect(value["list"]?.array?.first?.int == 1 && value["list"]?.array?.last?.bool == true)
  #expect(value["data"]?.contents == [1] && value["data"]?.string == nil)
  #expect(value["none"] == nil && value.array == nil && Value.nil.members == nil)
}

@Test func anIntegerBeyond64BitsIsAnsweredWithPythonsFault() throws {
  for value: Value in [.bigInteger("9223372036854775808"), [.array([1]), ["a": .bigInteger("-9999999999999999999")]]] {
    let result = try MethodResponse.decode(MethodResponse.encode(value).bytes())
    #expect(result == .failure(Fault(code: 1, string: "OverflowError:long int exceeds XML-RPC limits")))
  }
}
