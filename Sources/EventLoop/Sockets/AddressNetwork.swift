/// A network of IPv4 or IPv6 addresses, such as `192.0.2.0/24`, or one address.
public nonisolated struct AddressNetwork: Hashable, Sendable, CustomStringConvertible {
  /// The first address, without the bits that differ within the network.
  private let address: SocketAddress
  /// Number of bits that all addresses have in common.
  private let prefixBits: Int

  /// Reads `ADDRESS/BITS` or an address; nil for anything else. An IPv4-mapped address counts as IPv4.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, let address = SocketAddress(host: String(first), port: 0)?.unmapped else {
      return nil
    }
    let width = if case .ipv4 = address { 32 } else { 128 }
    var bits = width
    if parts.count == 2 {
      guard !parts[1].isEmpty, parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(parts[1]),
        number <= width
      else { return nil }
      bits = number
    }
    self.address = Self.masked(address, bits)
    prefixBits = bits
  }

  /// Whether the address of a peer is in it. A UNIX socket is in none.
  public func contains(_ peer: SocketAddress) -> Bool {
    let peer = peer.unmapped
    return peer.family == address.family && Self.masked(peer, prefixBits) == address
  }

  public var description: String { "\(address.host)/\(prefixBits)" }

  private static func masked(_ address: SocketAddress, _ bits: Int) -> SocketAddress {
    switch address {
    case .ipv4(let host, _): .ipv4(bits == 0 ? 0 : host & (UInt32.max << UInt32(32 - bits)), port: 0)
    case .ipv6(let high, let low, _, _):
      .ipv6(
        high: bits == 0 ? 0 : high & (UInt64.max << UInt64(max(0, 64 - bits))),
        low: bits <= 64 ? 0 : low & (UInt64.max << UInt64(128 - bits)), port: 0)
    case .unix: address
    }
  }
}
