/// The network that an address counts in where one network is to have a share: IPv4 /24, IPv6 /48, about what one owner
/// has.
nonisolated struct HostNetwork: Hashable, CustomStringConvertible {
  private let first: SocketAddress

  /// nil for what is no numeric address.
  init?(of address: String) {
    switch SocketAddress(host: address, port: 0)?.unmapped {
    case .ipv4(let host, _)?: first = .ipv4(host & 0xFFFF_FF00, port: 0)
    case .ipv6(let high, _, _, _)?: first = .ipv6(high: high & ~0xFFFF, low: 0, port: 0)
    case .unix?, nil: return nil
    }
  }

  var description: String { "\(first.host)/\(first.family == SocketAddress.ipv4(0, port: 0).family ? 24 : 48)" }
}
