import Testing
import XMLRPC

private func decode(_ text: String, limits: HTTPLimits = HTTPLimits()) throws(MethodCallError) -> MethodCall {
  try MethodCall.decode(Array(text.utf8), limits: limits)
}

private func error(_ text: String, limits: HTTPLimits = HTTPLimits()) -> MethodCallError? {
  do throws(MethodCallError) {
    _ = try decode(text, limits: limits)
    return nil
  } catch {
    return error
  }
}

private func call(_ value: String) -> String {
  "<?xml version='1.0'?><methodCall><methodName>m</methodName><params><param>\(value)</param></params></methodCall>"
}

/// A structure of one member.
private func member(_ name: String, _ value: String) -> String {
  "<member><name>\(name)</name><value>\(value)</value></member>"
}

@Test func valuesAreReadAsPythonReadsThem() throws {
  // Every row was given to Python 2.7's xmlrpclib.loads, but the names with a prefix, which Python 3 reads.
  let table: [(String, [Value])] = [
    ("<value>a</value>", ["a"]), ("<value></value>", [""]), ("<value/>", [""]), ("<value>  </value>", ["  "]),
    ("<value><string></string></value>", [""]), ("<value><string/></value>", [""]),
    ("<value><string> a </string></value>", [" a "]),
    ("<value> <int> 5 </int> </value>", [5]), ("<value><int>+5</int></value>", [5]),
    ("<value><i4>-7</i4></value>", [-7]), ("<value><i8>9223372036854775807</i8></value>", [.int(.max)]),
    ("<value><i8>-9223372036854775808</i8></value>", [.int(.min)]),
    ("<value><ex:i8>1</ex:i8></value>", [1]), ("<value><ex:nil/></value>", [.nil]),
    ("<value><boolean>1</boolean></value>", [true]), ("<value><boolean>0</boolean></value>", [false]),
    ("<value><double>1.5</double></value>", [1.5]), ("<value><double> 1e3\n</double></value>", [1000.0]),
    ("<value><double>1.</double></value>", [1.0]), ("<value><double>.5</double></value>", [0.5]),
    ("<value><double>inf</double></value>", [.double(.infinity)]),
    ("<value><double>-Infinity</double></value>", [.double(-.infinity)]),
    ("<value><double>1e999</double></value>", [.double(.infinity)]),
    ("<value><nil/></value>", [.nil]), ("<value><nil>x</nil></value>", [.nil]),
    ("<value><base64>aGVs\nbG8=</base64></value>", [.bytes(latin1("hello"))]),
    ("<value><base64>a*GVsbG8=</base64></value>", [.bytes(latin1("hello"))]),
    ("<value><base64/></value>", [.bytes([])]),
    ("<value><dateTime.iso8601> 20240101T00:00:00 </dateTime.iso8601></value>", [.dateTime("20240101T00:00:00")]),
    ("<value><array><data><value>1</value><value><int>2</int></value></data></array></value>", [["1", 2]]),
    ("<value><array></array></value>", [[]]), ("<value><array><value>1</value></array></value>", [["1"]]),
    ("<value><struct>\(member("a", "1"))</struct></value>", [["a": "1"]]),
    ("<value><struct>\(member("b", "1") + member("a", "2"))</struct></value>", [["b": "1", "a": "2"]]),
    (
      "<value><struct>\(member("a", "1") + member("b", "3") + member("a", "2"))</struct></value>",
      [["a": "2", "b": "3"]]
    ),
    ("<value><struct><member><value>1</value><name>a</name></member></struct></value>", [["1": "a"]]),
    ("<value><struct/></value>", [.structure([])]),
    ("<value>a<int>5</int>b</value>", [5]), ("<value><int>5</int><int>6</int></value>", [5, 6]),
    ("<value><string>a</string><foo/></value>", ["a"]), ("<foo/>", []), ("<int>5</int>", [5]),
    ("<value><value>x</value></value>", ["x"]), ("<value><fault/></value>", []),
    ("<value><string>a<![CDATA[<b>]]>c&amp;&lt;&#65;&#xe9;</string></value>", ["a<b>c&<A\u{E9}"]),
    ("<value><string>a<!-- c -->b</string></value>", ["ab"]),
    ("<value><string>a\r\nb\rc&#13;d</string></value>", ["a\nb\nc\rd"]),
  ]
  for (text, expected) in table {
    #expect(try decode(call(text)) == MethodCall(method: "m", params: expected), "\(text)")
  }
  let notANumber = try decode(call("<value><double>-nan</double></value>"))
  guard case .double(let number) = notANumber.params.first else { return #expect(Bool(false)) }
  #expect(number.isNaN)
}

@Test func callsAreReadAsPythonReadsThem() throws {
  let table: [(String, String, [Value])] = [
    ("<methodCall><methodName>m</methodName></methodCall>", "m", []),
    ("<methodCall><methodName>m</methodName><params/></methodCall>", "m", []),
    ("<x><methodName> m </methodName></x>", " m ", []),
    ("<methodName>m</methodName>", "m", []),
    ("<methodCall><methodName>a</methodName><methodName>b</methodName></methodCall>", "b", []),
    (" \n<methodCall><methodName>m</methodName></methodCall><!-- c --> ", "m", []),
    ("\u{FEFF}<methodCall><methodName>m</methodName></methodCall>", "m", []),
    (
      "<methodCall><methodName>m</methodName><params><param><value>1</value></param></params>"
        + "<params><param><value>2</value></param></params></methodCall>", "m", ["1", "2"]
    ),
  ]
  for (text, method, params) in table {
    #expect(try decode(text) == MethodCall(method: method, params: params), "\(text)")
  }
}

@Test func whatPythonRefusesIsRefused() {
  let values = [
    "<value><int></int></value>", "<value><int>5.0</int></value>", "<value><int>0x5</int></value>",
    "<value><int>1_0</int></value>", "<value><int>- 5</int></value>", "<value><boolean> 1</boolean></value>",
    "<value><boolean>true</boolean></value>", "<value><boolean/></value>", "<value><double>0x1p3</double></value>",
    "<value><double>1e</double></value>", "<value><double>nan(1)</double></value>", "<value><double/></value>",
    "<value><double>1 2</double></value>", "<value><base64>aGVsbG8</base64></value>", "<value><data></data></value>",
    "<value><foo/></value>", "<value>a<foo/></value>",
    "<value><struct><member><name>a</name></member></struct></value>",
    "<value><struct><member><int>1</int><value>1</value></member></struct></value>",
  ]
  for value in values {
    guard case .invalid = error(call(value)) else {
      #expect(Bool(false), "\(value): \(String(describing: error(call(value))))")
      continue
    }
  }
  let documents = [
    "<methodCall/>", "<methodCall><params/></methodCall>",
    "<methodResponse><params><param><value>1</value></param></params></methodResponse>",
    "<methodResponse><fault><value>1</value></fault></methodResponse>",
    "<x><methodName>m</methodName><fault/></x>",
  ]
  for text in documents {
    guard case .invalid = error(text) else {
      #expect(Bool(false), "\(text): \(String(describing: error(text)))")
      continue
    }
  }
  for text in ["", "junk", "<methodCall>", "<methodCall><methodName>m</methodName></methodCall>junk"] {
    guard case .xml = error(text) else {
      #expect(Bool(false), "\(text): \(String(describing: error(text)))")
      continue
    }
  }
}

@Test func errorsOfADocumentSayWhere() {
  #expect(error("<a>\n<b></a>")?.description == "end tag does not match its start tag at byte 7, line 2")
  #expect(error("<v><int>x</int></v>")?.description == "not an integer before byte 15")
  #expect(error("<v><int>--1</int></v>")?.description == "not an integer before byte 17")
}

@Test func integersBeyond64BitsAreReadAsPythonDoes() throws {
  let cases: [(String, Value)] = [
    ("9223372036854775807", .int(.max)), ("-9223372036854775808", .int(.min)),
    ("9223372036854775808", .bigInteger("9223372036854775808")),
    ("+0009223372036854775808", .bigInteger("9223372036854775808")),
    (" -99999999999999999999\n", .bigInteger("-99999999999999999999")),
    ("00000000000000000000000000001", .int(1)),
  ]
  for (text, value) in cases {
    for tag in ["int", "i4", "i8", "biginteger"] {
      #expect(try decode(call("<value><\(tag)>\(text)</\(tag)></value>")).params == [value], "\(text)")
    }
  }
  let digits = String(repeating: "9", count: HTTPLimits().argumentBytes)
  #expect(try decode(call("<value><int>\(digits)</int></value>")).params == [.bigInteger(digits)])
  let exceeded = error(call("<value><int>\(digits)9</int></value>"))?.exceeded
  #expect(exceeded == LimitExceeded("argumentBytes", HTTPLimits().argumentBytes))
}

@Test func callLimitsPassExactlyAndRefuseOneMore() {
  var limits = HTTPLimits()
  limits.callValues = 3
  limits.methodNameBytes = 3
  limits.xmlTextBytes = 4
  let three = "<value><array><data><value/><value/></data></array></value>"
  #expect(error(call(three), limits: limits) == nil)
  #expect(error(call(three + "<value/>"), limits: limits) == .limit(LimitExceeded("callValues", limits.callValues)))
  #expect(error("<m><methodName>abc</methodName></m>", limits: limits) == nil)
  #expect(
    error("<m><methodName>abcd</methodName></m>", limits: limits)
      == .limit(LimitExceeded("methodNameBytes", limits.methodNameBytes)))
  #expect(error(call("<value>12<!---->34</value>"), limits: limits) == nil)
  #expect(
    error(call("<value>12<!---->345</value>"), limits: limits)
      == .limit(LimitExceeded("xmlTextBytes", limits.xmlTextBytes)))
  let nested = String(repeating: "<value><array><data>", count: 30)
  guard case .xml(let found) = error("<methodCall>" + nested) else { return #expect(Bool(false)) }
  #expect(found.reason == "xmlDepth")
}

@Test func laterMembersReplaceEarlierOnesAmongMany() throws {
  let members = (0..<20_000).map { member("k\($0 % 10_000)", "\($0)") }.joined()
  let read = try decode(call("<value><struct>\(members)</struct></value>"))
  let value = try #require(read.params.first)
  #expect(value.members?.count == 10_000)
  #expect(value["k0"] == "10000" && value["k9999"] == "19999")
}
