/// A header in which proxies tell, one after the other, for whom they ask: the last hop is what the last proxy saw.
public enum ForwardedHeader: String, Sendable, Equatable, CaseIterable {
  /// RFC 7239.
  case standard = "Forwarded"
  /// The older one, a list of addresses.
  case listOfAddresses = "X-Forwarded-For"

  /// Hops that are read at most; a client has one, and each proxy adds one.
  public static let limitHops = 32

  /// The node of each hop, the first proxy's client first, without quotes; empty for a hop that names none.
  ///
  /// - Parameter values: of all headers of this name, in order.
  /// - Returns: nil if they are not of the header's form, or have more than `limitHops` hops.
  public func hops(in values: [String]) -> [String]? {
    var hops: [String] = []
    for value in values {
      var reader = Reader(bytes: Array(value.utf8))
      repeat {
        guard hops.count < Self.limitHops, let hop = self == .standard ? reader.element() : reader.item() else {
          return nil
        }
        hops.append(hop)
      } while reader.skip(UInt8(ascii: ","))
      guard reader.isAtEnd else { return nil }
    }
    return hops
  }

  /// A host of numbers within a node, and its port where it has one: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`,
  /// `[2001:db8::1]`, and in a list of addresses `2001:db8::1`, too. What is in it is not checked.
  public static func parts(of node: String) -> (host: Substring, port: UInt16?)? {
    let host: Substring
    let rest: Substring
    if node.utf8.first == UInt8(ascii: "[") {
      guard let end = node.utf8.firstIndex(of: UInt8(ascii: "]")) else { return nil }
      host = node[node.utf8.index(after: node.startIndex)..<end]
      rest = node[node.utf8.index(after: end)...]
    } else if node.utf8.count(where: { $0 == UInt8(ascii: ":") }) == 1,
      let colon = node.utf8.firstIndex(of: UInt8(ascii: ":"))
    {
      host = node[..<colon]
      rest = node[colon...]
    } else {
      host = node[...]
      rest = ""
    }
    if rest.isEmpty { return (host, nil) }
    let digits = rest.utf8.dropFirst()
    guard rest.utf8.first == UInt8(ascii: ":"), !digits.isEmpty, digits.count <= 5,
      digits.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(rest.dropFirst())
    else { return nil }
    return (host, port)
  }

  /// Reads the value of one header.
  private struct Reader {
    let bytes: [UInt8]
    var index = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { index == bytes.count }

    private mutating func skipBlanks() {
      while index < bytes.count, ASCII.isBlank(bytes[index]) { index += 1 }
    }

    /// Skips a byte and the blanks around it; false if something else comes.
    mutating func skip(_ byte: UInt8) -> Bool {
      skipBlanks()
      guard index < bytes.count, bytes[index] == byte else { return false }
      index += 1
      skipBlanks()
      return true
    }

    /// `for=192.0.2.1;proto=https;by="[2001:db8::2]"`: the value of `for`.
    mutating func element() -> String? {
      var node: String?
      skipBlanks()
      repeat {
        guard index < bytes.count, bytes[index] != UInt8(ascii: ","), bytes[index] != UInt8(ascii: ";") else {
          continue
        }
        guard let name = token(), index < bytes.count, bytes[index] == UInt8(ascii: "=") else { return nil }
        index += 1
        guard let value = index < bytes.count && bytes[index] == UInt8(ascii: "\"") ? quoted() : token() else {
          return nil
        }
        if ASCII.equalIgnoringCase(name, "for") {
          guard node == nil else { return nil }
          node = value
        }
      } while skip(UInt8(ascii: ";"))
      skipBlanks()
      return node ?? ""
    }

    /// One item of a list, without the blanks around it.
    mutating func item() -> String? {
      skipBlanks()
      let start = index
      while index < bytes.count, bytes[index] != UInt8(ascii: ",") { index += 1 }
      return String(decoding: ASCII.trimmed(bytes[start..<index], where: ASCII.isBlank), as: UTF8.self)
    }

    /// RFC 9110, section 5.6.2; nil if there is none.
    private mutating func token() -> String? {
      let start = index
      while index < bytes.count, ASCII.isTokenByte(bytes[index]) { index += 1 }
      return index == start ? nil : String(decoding: bytes[start..<index], as: UTF8.self)
    }

    /// RFC 9110, section 5.6.4; nil if it does not end.
    private mutating func quoted() -> String? {
      var text: [UInt8] = []
      index += 1
      while index < bytes.count {
        let byte = bytes[index]
        index += 1
        if byte == UInt8(ascii: "\"") { return String(decoding: text, as: UTF8.self) }
        if byte == UInt8(ascii: "\\") {
          guard index < bytes.count else { return nil }
          text.append(bytes[index])
          index += 1
        } else {
          text.append(byte)
        }
      }
      return nil
    }
  }
}
