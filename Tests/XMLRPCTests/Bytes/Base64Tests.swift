import Testing
import XMLRPC

@Test func base64IsReadAsPythonReadsIt() {
  // From Python 2.7: base64.b64decode(text), nil where it raises.
  let table: [(String, String?)] = [
    ("", ""), ("QQ==", "A"), ("QQ", nil), ("QUI=", "AB"), ("QUJD", "ABC"), ("Q", nil), ("QQ=", nil), ("=", ""),
    ("==QQ==", "A"), ("QQ==QQ==", "A"), ("Q=Q=", nil), ("Q Q\n=\r=", "A"), ("Q-Q==", "A"), ("QQ=*=", "A"),
    ("QQ=A", nil), ("QUI", nil), ("QUI=QQ==", "AB"), ("QU=JD", "ABC"), ("QUJD=", "ABC"), ("A===", nil),
    ("QQ=\n=", "A"), ("QUJ=D", "AB"), ("Q\u{E9}Q==", "A"),
  ]
  for (text, expected) in table {
    #expect(Base64.decode(latin1(text)) == expected.map(latin1), "\(text.debugDescription)")
  }
}

@Test func strictBase64IsOnlyWhatIsWritten() {
  for text in ["", "QQ==", "QUI=", "QUJD", "+/+/"] {
    #expect(Base64.decodeStrict(latin1(text)[...]) != nil, "\(text)")
  }
  for text in ["QQ", "QQ=", "Q Q==", "QQ==\n", "QR==", "QUJDQ", "-_-_", "QQ==QQ==", "====", "Q==="] {
    #expect(Base64.decodeStrict(latin1(text)[...]) == nil, "\(text)")
  }
}

@Test func base64RoundTripsEveryLength() {
  for count in 0..<130 {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 200) }
    #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    #expect(Base64.decodeStrict(Base64.encode(bytes)[...]) == bytes)
    let lines = Base64.encodeLines(bytes)
    #expect(Base64.decode(lines) == bytes)
    #expect(lines.split(separator: 0x0A).allSatisfy { $0.count <= 76 })
    #expect(lines.isEmpty == bytes.isEmpty && (lines.last ?? 0x0A) == 0x0A)
  }
}

@Test func strictBase64IsWhatEncodeWrites() {
  for text in ["", "QQ==", "QUI=", "QUJD", "////", "AA==", "AAA="] {
    #expect(Base64.decodeStrict(Array(text.utf8)[...]).map(Base64.encode) == Array(text.utf8), "\(text)")
  }
  // Bits left over, padding in the wrong number or place, other characters.
  for text in [
    "QR==", "QUJ=", "QQ=", "QQ", "Q===", "====", "QU=I", "QQ==QQ==", "QU-D", "QU D", "QQ=\n", "=", "QUJDR===",
  ] {
    #expect(Base64.decodeStrict(Array(text.utf8)[...]) == nil, "\(text)")
  }
}

@Test func credentialsAreSplitAsBcfg2SplitsThem() {
  let table: [(String, user: String, password: String)] = [
    ("Basic cm9vdDpzZWNyZXQ=", "root", "secret"),
    ("basic  \tcm9vdDpzZWNyZXQ=", "root", "secret"),
    // No colon, and more than one: all of it is the user.
    ("Basic cm9vdA==", "root", ""),
    ("Basic cm9vdDphOmI=", "root:a:b", ""),
    ("Basic cm9vdDo=", "root", ""),
    ("Basic OnNlY3JldA==", "", "secret"),
    ("Basic Og==", "", ""),
    ("Basic 6To/", "\u{E9}", "?"),
  ]
  for (header, user, password) in table {
    let auth = BasicAuth.parse(header)
    #expect(auth?.user == latin1(user), "\(header)")
    #expect(auth?.password == latin1(password), "\(header)")
  }
}

@Test func otherAuthorizationIsRefused() {
  for header in [
    "", "Basic", "Basic ", "cm9vdDpzZWNyZXQ=", "Bearer cm9vdDpzZWNyZXQ=", "Basic cm9vdDpzZWNyZXQ", "Basic ****",
    "Basic cm9v dDpz", "Basic cm9vdDpzZWNyZXQ= x", "Basiccm9vdDpzZWNyZXQ=", "Basic cm9vdDpzZWNyZXQ==", "Basic =",
  ] {
    #expect(BasicAuth.parse(header) == nil, "\(header)")
  }
}
