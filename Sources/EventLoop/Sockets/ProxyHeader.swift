/// What a proxy says of a connection before the first byte of its client.
///
/// Source: haproxy/haproxy: doc/proxy-protocol.txt, version 2 of the protocol.
public nonisolated enum ProxyHeader: Equatable, Sendable {
  /// The proxy itself connects, to see whether the server is well.
  case ownConnection
  /// It connects for a client with this address; nil where it does not know the client's.
  case client(SocketAddress?)
}

/// Why a connection has no acceptable header.
public nonisolated enum ProxyHeaderError: Error, Equatable, Sendable, CustomStringConvertible {
  case noHeader
  case firstVersion
  case version(UInt8)
  case command(UInt8)
  case family(UInt8)
  case unixSocket
  case tooLong(Int)
  case noAddresses
  case extensions
  case checksum

  public var description: String {
    switch self {
    case .noHeader: "the first bytes are no PROXY header"
    case .firstVersion: "the PROXY header has version 1; let the proxy send version 2 (send-proxy-v2)"
    case .version(let number): "the PROXY header has version \(number)"
    case .command(let number): "the PROXY header has the unknown command \(number)"
    case .family(let byte): "the PROXY header has the unknown address family and protocol \(byte)"
    case .unixSocket: "the PROXY header has the address of a Unix socket"
    case .tooLong(let count):
      "the PROXY header has \(count) bytes, more than \(ProxyHeaderParser.limitBytes)"
    case .noAddresses: "the PROXY header is too short for its addresses"
    case .extensions: "the extensions of the PROXY header are damaged"
    case .checksum: "the checksum of the PROXY header is wrong"
    }
  }
}

/// Reads one header, in whatever pieces it comes, and never a byte behind it.
public nonisolated struct ProxyHeaderParser: Sendable {
  /// Far above what haproxy sends with all its extensions.
  public static let limitBytes = 2048
  static let signature: [UInt8] = [
    0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
  ]
  private static let fixedBytes = 16
  private static let firstVersion = Array("PROXY ".utf8)

  /// What bytes amount to.
  public enum Step: Equatable, Sendable {
    /// `wantedBytes` more may be read.
    case needMore
    case header(ProxyHeader)
    case refused(ProxyHeaderError)
  }

  private var bytes: [UInt8] = []

  public init() {}

  /// How many bytes of the header are certainly still to come; what follows them may be the client's.
  public var wantedBytes: Int {
    bytes.count < Self.fixedBytes ? Self.fixedBytes - bytes.count : Self.fixedBytes + bodyBytes - bytes.count
  }

  /// No byte has come.
  public var isIdle: Bool { bytes.isEmpty }

  /// Whether bytes that a peer has sent are the beginning of a header of either version. The beginning of a TLS handshake
  /// and of a request over HTTP are not.
  public static func isBeginning(_ bytes: UnsafeRawBufferPointer) -> Bool {
    if bytes.isEmpty { return false }
    return bytes.prefix(signature.count).elementsEqual(signature.prefix(bytes.count))
      || bytes.count >= firstVersion.count && bytes.starts(with: firstVersion)
  }

  /// Takes the next 1...`wantedBytes` bytes.
  public mutating func feed(_ next: UnsafeRawBufferPointer) -> Step {
    precondition(!next.isEmpty && next.count <= wantedBytes, "bytes behind the header are the client's")
    bytes += next
    guard bytes.starts(with: Self.signature.prefix(bytes.count)) else {
      let isFirstVersion = bytes.starts(with: Self.firstVersion.prefix(bytes.count))
      if isFirstVersion, bytes.count < Self.firstVersion.count { return .needMore }
      return .refused(isFirstVersion ? .firstVersion : .noHeader)
    }
    do throws(ProxyHeaderError) {
      if bytes.count >= Self.fixedBytes { try checkFixedPart() }
      return wantedBytes > 0 ? .needMore : .header(try header())
    } catch {
      return .refused(error)
    }
  }

  private var bodyBytes: Int { Int(bytes[14]) << 8 | Int(bytes[15]) }
  private var command: UInt8 { bytes[12] & 0xf }

  private func checkFixedPart() throws(ProxyHeaderError) {
    guard bytes[12] >> 4 == 2 else { throw .version(bytes[12] >> 4) }
    guard command <= 1 else { throw .command(command) }
    guard Self.fixedBytes + bodyBytes <= Self.limitBytes else { throw .tooLong(Self.fixedBytes + bodyBytes) }
    // With the proxy's own connection the rest means nothing.
    guard command == 1 else { return }
    switch bytes[13] {
    case 0x00, 0x11, 0x21: return
    case 0x31, 0x32: throw .unixSocket
    case let byte: throw .family(byte)
    }
  }

  /// The header, all of whose bytes are there. Where it names no client its rest is not read, because nothing of it counts.
  private func header() throws(ProxyHeaderError) -> ProxyHeader {
    guard command == 1 else { return .ownConnection }
    let addressBytes: Int
    switch bytes[13] {
    case 0x11: addressBytes = 12
    case 0x21: addressBytes = 36
    default: return .client(nil)
    }
    guard bodyBytes >= addressBytes else { throw .noAddresses }
    try checkExtensions(from: Self.fixedBytes + addressBytes)
    let port = UInt16(number(at: Self.fixedBytes + addressBytes - 4, bytes: 2))
    guard bytes[13] == 0x11 else {
      let high = number(at: Self.fixedBytes, bytes: 8)
      return .client(.ipv6(high: high, low: number(at: Self.fixedBytes + 8, bytes: 8), port: port).unmapped)
    }
    return .client(.ipv4(UInt32(number(at: Self.fixedBytes, bytes: 4)), port: port))
  }

  private func number(at offset: Int, bytes count: Int) -> UInt64 {
    bytes[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Walks over the extensions: type, length in two bytes, value. Of all their kinds only the checksum concerns a server.
  private func checkExtensions(from start: Int) throws(ProxyHeaderError) {
    var offset = start
    while offset < bytes.count {
      guard offset + 3 <= bytes.count else { throw .extensions }
      let value = offset + 3
      let end = value + Int(number(at: offset + 1, bytes: 2))
      guard end <= bytes.count else { throw .extensions }
      if bytes[offset] == 0x03 {
        guard end - value == 4 else { throw .extensions }
        guard checksum(without: value..<end) == UInt32(number(at: value, bytes: 4)) else { throw .checksum }
      }
      offset = end
    }
  }

  /// CRC-32C of the header with zeros in place of the checksum.
  private func checksum(without place: Range<Int>) -> UInt32 {
    var sum = UInt32.max
    for (index, byte) in bytes.enumerated() {
      sum ^= place.contains(index) ? 0 : UInt32(byte)
      // Castagnoli's polynomial, its bits reversed (RFC 9260, appendix A). A header has too few bytes for a table.
      for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 == 1 ? 0x82f6_3b78 : 0) }
    }
    return ~sum
  }
}
