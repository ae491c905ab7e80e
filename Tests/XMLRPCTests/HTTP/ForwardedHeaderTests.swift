import Testing
import XMLRPC

struct ForwardedHeaderTests {
  @Test func hopsAreInTheOrderOfTheirProxies() {
    let cases: [(values: [String], hops: [String]?)] = [
      (["for=192.0.2.43"], ["192.0.2.43"]),
      (["For=\"[2001:db8:cafe::17]:4711\""], ["[2001:db8:cafe::17]:4711"]),
      (["for=192.0.2.60;proto=http;by=203.0.113.43"], ["192.0.2.60"]),
      (["proto=http ; FOR=192.0.2.60 ;by=x"], ["192.0.2.60"]),
      (["for=192.0.2.43, for=198.51.100.17"], ["192.0.2.43", "198.51.100.17"]),
      (["for=a", "for=b,for=c"], ["a", "b", "c"]),
      (["for=\"a,b;c\\\"d\""], ["a,b;c\"d"]),
      (["by=x"], [""]),
      (["for=a,,for=b"], ["a", "", "b"]),
      (["for=a;"], ["a"]),
      ([""], [""]),
      (["for=_hidden, for=unknown"], ["_hidden", "unknown"]),
      (["for=\"a\"b"], nil), (["for=\"a"], nil), (["for=\"a\\"], nil), (["for"], nil), (["for="], nil), (["=a"], nil),
      (["for=a for=b"], nil), (["for=a;for=b"], nil), (["for = a"], nil), (["for=[::1]"], nil), (["for=a:1"], nil),
      (["for=a", "for=\""], nil),
    ]
    for (values, hops) in cases { #expect(ForwardedHeader.standard.hops(in: values) == hops, "\(values)") }
  }

  @Test func aListOfAddressesIsTakenApartAtItsCommas() {
    for (values, hops) in [
      (["192.0.2.1"], ["192.0.2.1"]), (["a, b ,c"], ["a", "b", "c"]), (["a", "b"], ["a", "b"]),
      (["2001:db8::1,[2001:db8::2]:5"], ["2001:db8::1", "[2001:db8::2]:5"]), ([" , "], ["", ""]),
    ] {
      #expect(ForwardedHeader.listOfAddresses.hops(in: values) == hops, "\(values)")
    }
  }

  @Test func thereIsAMostOfHops() {
    for header in ForwardedHeader.allCases {
      func value(_ count: Int) -> [String] { [[String](repeating: "for=a", count: count).joined(separator: ",")] }
      #expect(header.hops(in: value(ForwardedHeader.limitHops))?.count == ForwardedHeader.limitHops)
      #expect(header.hops(in: value(ForwardedHeader.limitHops + 1)) == nil)
      #expect(header.hops(in: value(ForwardedHeader.limitHops) + ["for=a"]) == nil)
    }
  }

  /// However a value is cut, it is read or refused.
  @Test func partsOfAValueAreReadOrRefused() {
    let value = Array("for=\"[2001:db8::1]:80\";by=\"a\\\"b\", For=192.0.2.1;proto=https".utf8)
    for start in 0..<value.count {
      for end in start...value.count {
        let text = String(decoding: value[start..<end], as: UTF8.self)
        let hops = ForwardedHeader.standard.hops(in: [text])
        #expect(hops.map { $0.count <= 3 } ?? true)
      }
    }
  }

  @Test func aNodeHasAHostAndPerhapsAPort() {
    for (node, host, port) in [
      ("192.0.2.1", "192.0.2.1", nil), ("192.0.2.1:80", "192.0.2.1", 80), ("[2001:db8::1]", "2001:db8::1", nil),
      ("[2001:db8::1]:65535", "2001:db8::1", 65535), ("2001:db8::1", "2001:db8::1", nil), ("unknown", "unknown", nil),
      ("", "", nil),
    ] as [(String, String, UInt16?)] {
      let parts = ForwardedHeader.parts(of: node)
      #expect(parts.map { String($0.host) } == host && parts?.port == port, "\(node)")
    }
    for node in [
      "192.0.2.1:", "192.0.2.1:x", "192.0.2.1:65536", "192.0.2.1:123456", "[::1", "[::1]x", "[::1]:", "a:+1",
    ] {
      #expect(ForwardedHeader.parts(of: node) == nil, "\(node)")
    }
  }
}
