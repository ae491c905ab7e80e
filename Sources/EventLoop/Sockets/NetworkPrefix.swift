/// An address, or all addresses that begin with the same bits: `127.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`.
public nonisolated struct NetworkPrefix: Hashable, Sendable, CustomStringConvertible {
  /// Its first address; of port 0.
  private let first: SocketAddress
  /// Bits that all addresses have in common.
  private let bits: Int

  /// Reads an address or a network in CIDR notation; nil if it is none, or if it has bits behind the common ones, which
  /// is most likely a mistake.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let host = parts.first, !host.utf8.contains(UInt8(ascii: "%")), !host.utf8.contains(UInt8(ascii: "[")),
      let address = SocketAddress(host: String(host), port: 0)?.unmapped
    else { return nil }
    let all = address.family == SocketAddress.ipv4(0, port: 0).family ? 32 : 128
    if parts.count == 2 {
      let digits = parts[1].utf8
      guard (1...3).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
        let number = Int(parts[1]), number <= all
      else { return nil }
      bits = number
    } else {
      bits = all
    }
    guard Self.masked(address, to: bits) == address else { return nil }
    first = address
  }

  /// Whether the address is one of these. An IPv4 address within IPv6 is the IPv4 address.
  public func contains(_ address: SocketAddress) -> Bool { Self.masked(address.unmapped, to: bits) == first }

  /// The address with its first bits only, without port and interface.
  private static func masked(_ address: SocketAddress, to bits: Int) -> SocketAddress {
    // A shift by the whole width or more gives 0.
    switch address {
    case .ipv4(let host, _): .ipv4(host & (UInt32.max << max(0, 32 - bits)), port: 0)
    case .ipv6(let high, let low, _, _):
      .ipv6(
        high: high & (UInt64.max << max(0, 64 - bits)), low: low & (UInt64.max << min(64, max(0, 128 - bits))), port: 0)
    case .unix: .unix("")
    }
  }

  public var description: String {
    let all = first.family == SocketAddress.ipv4(0, port: 0).family ? 32 : 128
    return bits == all ? first.host : "\(first.host)/\(bits)"
  }
}
