import EventLoop
import Support
import Testing

/// Feeds bytes in pieces of a size, as far as they are wanted; returns the last step and how many were taken.
private func parse(_ bytes: [UInt8], by size: Int = .max) -> (step: ProxyHeaderParser.Step, taken: Int) {
  var parser = ProxyHeaderParser()
  var taken = 0
  while taken < bytes.count {
    let count = min(size, parser.wantedBytes, bytes.count - taken)
    let step = Array(bytes[taken..<taken + count]).withUnsafeBytes { parser.feed($0) }
    taken += count
    if step != .needMore { return (step, taken) }
  }
  return (.needMore, taken)
}

struct ProxyHeaderTests {
  private static let one = ProxyHeaderBytes.make(client: (192, 0, 2, 1), port: 4711)
  private static let client = ProxyHeader.client(SocketAddress(host: "192.0.2.1", port: 4711))

  @Test func whatHaproxySendsIsRead() {
    for (name, bytes, client) in ProxyHeaderBytes.recorded {
      for size in [1, 2, 3, 16, 17, 1000] {
        let (step, taken) = parse(bytes + Array("hello".utf8), by: size)
        #expect(taken == bytes.count, "\(name)")
        switch step {
        case .header(.client(let address)): #expect(address?.description == client, "\(name)")
        case .header(.ownConnection): #expect(client == nil, "\(name)")
        case .needMore, .refused: Issue.record("\(name): \(step)")
        }
      }
    }
  }

  @Test func partsOfAHeaderAreNoneAndTakeNothingBehindIt() {
    for (name, bytes, _) in ProxyHeaderBytes.recorded + [("own", Self.one, nil)] {
      for count in 1..<bytes.count {
        #expect(parse(Array(bytes[..<count])).step == .needMore, "\(name), \(count) bytes")
      }
    }
  }

  /// A flipped bit is another header or none, and never one that reads on behind its end.
  @Test func anyFlippedBitIsReadWithinBounds() {
    for (name, bytes, _) in ProxyHeaderBytes.recorded {
      let isChecked = name != "plain" && name != "check"
      // Where the checksum is; without its type there is none.
      let place = name == "IPv6" ? 52 : 28
      for bit in 0..<bytes.count * 8 {
        var flipped = bytes
        flipped[bit / 8] ^= 1 << (bit % 8)
        let (step, taken) = parse(flipped + [UInt8](repeating: 0, count: 70_000), by: 7)
        #expect(taken <= ProxyHeaderParser.limitBytes && step != .needMore, "\(name), bit \(bit)")
        // The checksum is over all of it.
        if isChecked, bit / 8 != place, case .header(.client(_?)) = step {
          Issue.record("\(name): bit \(bit) is not noticed")
        }
      }
    }
  }

  /// Seeds of the fuzz target: the first byte tells it where to cut.
  @Test func theCorpusIsReadInOneWay() throws {
    for (name, input) in try Corpus.files("proxy-header") {
      let bytes = Array(input.dropFirst())
      let whole = parse(bytes).step
      for size in [1, 3, 16] { #expect(parse(bytes, by: size).step == whole, "\(name)") }
    }
  }

  @Test func eachFaultHasItsName() {
    let addresses: [UInt8] = [192, 0, 2, 1, 127, 0, 0, 1, 0x12, 0x67, 0x1a, 0x85]
    let zeros = [UInt8](repeating: 0, count: 4000)
    let cases: [(bytes: [UInt8], expected: ProxyHeaderParser.Step)] = [
      ([0x16, 3, 1, 2, 0], .refused(.noHeader)),
      (Array("GET / HTTP/1.1\r\n".utf8), .refused(.noHeader)),
      (Array("PROXY TCP4 192.0.2.1 127.0.0.1 4711 6789\r\n".utf8), .refused(.firstVersion)),
      (ProxyHeaderBytes.make(version: 1, body: addresses), .refused(.version(1))),
      (ProxyHeaderBytes.make(version: 3, body: addresses), .refused(.version(3))),
      (ProxyHeaderBytes.make(command: 2, body: addresses), .refused(.command(2))),
      (ProxyHeaderBytes.make(family: 0x31, body: zeros), .refused(.tooLong(4016))),
      (ProxyHeaderBytes.make(family: 0x31, body: Array(zeros.prefix(216))), .refused(.unixSocket)),
      (ProxyHeaderBytes.make(family: 0x12, body: addresses), .refused(.family(0x12))),
      (ProxyHeaderBytes.make(family: 0x10, body: addresses), .refused(.family(0x10))),
      (ProxyHeaderBytes.make(family: 0x41, body: addresses), .refused(.family(0x41))),
      (ProxyHeaderBytes.make(body: [], length: 65535), .refused(.tooLong(65551))),
      (ProxyHeaderBytes.make(body: Array(addresses.dropLast())), .refused(.noAddresses)),
      (ProxyHeaderBytes.make(body: []), .refused(.noAddresses)),
      (ProxyHeaderBytes.make(family: 0x21, body: addresses), .refused(.noAddresses)),
      (ProxyHeaderBytes.make(body: addresses + [4, 0]), .refused(.extensions)),
      (ProxyHeaderBytes.make(body: addresses + [4, 0, 2, 1]), .refused(.extensions)),
      (ProxyHeaderBytes.make(body: addresses + [4, 255, 255, 1]), .refused(.extensions)),
      (ProxyHeaderBytes.make(body: addresses + [3, 0, 3, 1, 2, 3]), .refused(.extensions)),
      (ProxyHeaderBytes.make(body: addresses + [3, 0, 4, 1, 2, 3, 4]), .refused(.checksum)),
      (ProxyHeaderBytes.make(body: addresses + [4, 0, 0, 4, 0, 1, 9]), .header(Self.client)),
      // Where nobody is named the rest means nothing.
      (ProxyHeaderBytes.make(family: 0, body: []), .header(.client(nil))),
      (ProxyHeaderBytes.make(family: 0, body: [1, 2]), .header(.client(nil))),
      (ProxyHeaderBytes.make(command: 0, family: 0x31, body: [1, 2]), .header(.ownConnection)),
      (ProxyHeaderBytes.make(command: 0, family: 0, body: []), .header(.ownConnection)),
      (
        ProxyHeaderBytes.make(
          family: 0x21,
          body: Array(zeros.prefix(10)) + [255, 255, 192, 0, 2, 1] + Array(zeros.prefix(16))
            + [0x12, 0x67, 0, 0]), .header(Self.client)
      ),
    ]
    for (bytes, expected) in cases {
      for size in [1, 5, 10_000] { #expect(parse(bytes, by: size).step == expected, "\(expected)") }
      if case .refused(let error) = expected { #expect(!error.description.hasSuffix(".")) }
    }
  }

  @Test func theBeginningOfAHeaderIsNeitherTLSNorHTTP() {
    for (text, isBeginning) in [
      ("\r", true), ("\r\n\r\n", true), ("PROXY TCP4 ", true), ("PROX", false), ("POST / HTTP/1.1", false), ("", false),
      ("\u{16}\u{3}\u{1}", false), ("\r\nGET", false),
    ] {
      #expect(Array(text.utf8).withUnsafeBytes { ProxyHeaderParser.isBeginning($0) } == isBeginning, "\(text)")
    }
    for (name, bytes, _) in ProxyHeaderBytes.recorded {
      #expect(bytes.withUnsafeBytes { ProxyHeaderParser.isBeginning($0) }, "\(name)")
    }
    for count in 1...12 {
      #expect(ProxyHeaderBytes.signature.prefix(count).withUnsafeBytes { ProxyHeaderParser.isBeginning($0) })
    }
  }
}

struct NetworkPrefixTests {
  @Test func addressesAreWithinTheirNetworks() throws {
    for (network, within, beyond) in [
      (
        "10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], ["11.0.0.0", "9.255.255.255", "::a00:0", "::"]
      ),
      ("127.0.0.1", ["127.0.0.1", "::ffff:127.0.0.1"], ["127.0.0.2", "::1"]),
      ("0.0.0.0/0", ["0.0.0.0", "255.1.2.3"], ["::", "2001:db8::1"]),
      ("::1", ["::1", "::1%2"], ["::2", "127.0.0.1"]),
      ("::/0", ["::", "2001:db8::1"], ["10.0.0.1"]),
      ("2001:db8::/32", ["2001:db8::", "2001:db8:ffff::1"], ["2001:db9::", "2001:db7::"]),
      ("2001:db8:0:1:8000::/65", ["2001:db8:0:1:8000::1"], ["2001:db8:0:1::1", "2001:db8:0:2:8000::1"]),
      ("2001:db8::1/128", ["2001:db8::1"], ["2001:db8::"]),
      ("192.0.2.1/32", ["192.0.2.1"], ["192.0.2.0"]),
    ] {
      let prefix = try #require(NetworkPrefix(network), "\(network)")
      for (hosts, isWithin) in [(within, true), (beyond, false)] {
        for host in hosts {
          let address = try #require(SocketAddress(host: host, port: 77), "\(host)")
          #expect(prefix.contains(address) == isWithin, "\(network) \(host)")
        }
      }
      #expect(!prefix.contains(.unix("/run/x")) && NetworkPrefix(prefix.description) == prefix)
    }
  }

  @Test func whatIsNoNetworkIsNone() {
    for text in [
      "", "x", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "/8", "::/129",
      "2001:db8::1/32", "[::1]", "::1%1", "10.0.0", "10.0.0.0/0008", "localhost", "10.0.0.0 /8",
    ] {
      #expect(NetworkPrefix(text) == nil, "\(text)")
    }
  }
}
