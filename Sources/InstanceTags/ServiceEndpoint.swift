import XMLRPC

/// Where a service of AWS, or one that speaks like it, is asked: `https://ec2.us-east-1.amazonaws.com`.
package struct ServiceEndpoint: Sendable, Equatable, CustomStringConvertible {
  /// With scheme, host and path.
  package let url: String
  /// The value of the header Host: with the port, where it is not that of the scheme.
  package let host: String
  /// From the first slash on.
  package let path: String

  package var description: String { url }

  /// Longer URLs are none.
  private static let limitBytes = 1024

  /// - Parameter text: a URL of scheme http or https, without user, query and fragment; nil is returned for another.
  package init?(_ text: String) {
    guard text.utf8.count <= Self.limitBytes, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
    let standardPort: String
    let rest: Substring
    if text.hasPrefix("https://") {
      (standardPort, rest) = (":443", text.dropFirst(8))
    } else if text.hasPrefix("http://") {
      (standardPort, rest) = (":80", text.dropFirst(7))
    } else {
      return nil
    }
    let authority = rest.prefix { $0 != "/" }
    let path = String(rest[authority.endIndex...])
    guard !authority.isEmpty, !authority.contains(where: { "@?#\\%".contains($0) }),
      // What has no second form: a signature of another form would be wrong.
      path.utf8.allSatisfy({ $0 == UInt8(ascii: "/") || Hexadecimal.isUnreserved($0) }),
      !path.split(separator: "/").contains(where: { $0 == "." || $0 == ".." })
    else { return nil }
    var host = authority
    if host.hasSuffix(standardPort) { host.removeLast(standardPort.count) }
    // Behind the last colon, unless that is inside of an IPv6 address.
    if let colon = host.lastIndex(of: ":"), !host[colon...].contains("]") {
      let digits = host[host.index(after: colon)...]
      guard UInt16(digits) != nil, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
      guard host.startIndex < colon else { return nil }
    }
    guard !host.isEmpty else { return nil }
    self.host = host.lowercased()
    self.path = path.isEmpty ? "/" : path
    url = (standardPort == ":443" ? "https://" : "http://") + authority + self.path
  }

  /// That of EC2 in a region of AWS; nil for a text that is no region.
  package static func ec2(region: String) -> ServiceEndpoint? {
    guard isRegion(region) else { return nil }
    return ServiceEndpoint("https://ec2.\(region).amazonaws.com\(region.hasPrefix("cn-") ? ".cn" : "")")
  }

  /// Whether a text can name a region: `us-east-1`.
  package static func isRegion(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
          || byte == UInt8(ascii: "-")
      }
  }
}
