import Support
import Testing
import XMLRPC

@Test func corpusOfRequestsIsReadInOneWay() throws {
  for (name, bytes) in try Corpus.files("http-request") {
    // The first byte tells the fuzz target where to cut.
    let input = Array(bytes.dropFirst())
    let whole = consumeAll([input])
    #expect(whole.requests.count + (whole.status == nil ? 0 : 1) > 0, "\(name)")
    for pieces in splits(input) {
      #expect(consumeAll(pieces) == whole, "\(name)")
      #expect(feedAll(pieces) == whole, "\(name)")
    }
  }
}

@Test func corpusOfForwardedHeadersIsReadWithinBounds() throws {
  for (name, bytes) in try Corpus.files("forwarded-header") {
    let value = String(decoding: bytes, as: UTF8.self)
    for header in ForwardedHeader.allCases {
      let hops = header.hops(in: [value])
      #expect(hops.map { $0.count <= ForwardedHeader.limitHops } ?? true, "\(name)")
      #expect(header.hops(in: [value, value]) == hops.map { $0 + $0 }, "\(name)")
    }
  }
}

@Test func corpusOfCallsIsReadTheSameAfterWriting() throws {
  for (name, bytes) in try Corpus.files("xmlrpc") {
    if let call = try? MethodCall.decode(bytes) {
      #expect(try MethodCall.decode(call.encode().bytes()) == call, "\(name)")
    } else if case .success(let value) = try? MethodResponse.decode(bytes) {
      #expect(try MethodResponse.decode(MethodResponse.encode(value).bytes()) == .success(value), "\(name)")
    }
  }
}

@Test func corpusOfCredentialsIsReadTheSameAfterWriting() throws {
  for (name, bytes) in try Corpus.files("basic-auth") {
    #expect(Base64.decode(Base64.encode(bytes)) == bytes, "\(name)")
    if let auth = BasicAuth.parse(String(decoding: bytes, as: UTF8.self)) {
      let token = Base64.encode(
        auth.password.isEmpty ? auth.user : auth.user + [UInt8(ascii: ":")] + auth.password)
      #expect(BasicAuth.parse("Basic " + String(decoding: token, as: UTF8.self)) == auth, "\(name)")
    }
  }
}
