public import EventLoop
public import ServerSettings
public import XMLRPC

/// Which proxies are believed when they say for which client they connect or ask, and how they say it.
///
/// Whoever is trusted can be any address, and many rules depend on addresses: clients without a name, ACLs, limits. An
/// address of the loopback network is believed of a proxy on this machine only, because it means this machine.
public nonisolated struct ProxyRules: Sendable, Equatable {
  /// `[server] trusted_proxies`.
  public var trusted: [NetworkPrefix] = []
  /// `[server] proxy_protocol`: a trusted proxy begins each connection with a header of the PROXY protocol.
  public var readsProxyHeader = false
  /// `[server] forwarded`: the header of requests by which a trusted proxy names the client; nil if none counts.
  public var forwardedHeader: ForwardedHeader?

  public init() {}

  public init(_ settings: Settings) {
    trusted = settings.trustedProxies ?? []
    readsProxyHeader = settings.readsProxyHeader
    forwardedHeader = settings.forwardedHeader.header
  }

  func trusts(_ address: SocketAddress) -> Bool { trusted.contains { $0.contains(address) } }

  /// Whether the connections of this address begin with a header of the PROXY protocol.
  func expectsProxyHeader(of address: SocketAddress) -> Bool { readsProxyHeader && trusts(address) }

  /// Whether a proxy may speak for a client with this address.
  static func isBelieved(_ client: SocketAddress, from proxy: SocketAddress) -> Bool {
    !client.isLoopback || proxy.isLoopback
  }

  /// For whom a request asks.
  enum Asker: Equatable {
    /// For the peer itself.
    case peer
    /// For the client of a trusted proxy.
    case client(SocketAddress)
    /// Nobody knows: one sentence without a final period.
    case unclear(String)
  }

  /// For whom the peer asks: the last hop that is no trusted proxy. Hops before that one are what it says itself.
  func asker(of head: HTTPRequestHead, from peer: SocketAddress) -> Asker {
    guard let header = forwardedHeader, trusts(peer) else { return .peer }
    let values = head.all(header.rawValue)
    if values.isEmpty { return .peer }
    guard let hops = header.hops(in: values) else { return .unclear("the header \(header.rawValue) cannot be read") }
    var client: SocketAddress?
    for hop in hops.reversed() {
      guard let address = Self.address(of: hop) else {
        return .unclear("a hop of the header \(header.rawValue) has no address")
      }
      client = address
      if !trusts(address) { break }
    }
    guard let client else { return .unclear("the header \(header.rawValue) has no hop") }
    guard Self.isBelieved(client, from: peer) else {
      return .unclear("the header \(header.rawValue) of another machine names \(client.host)")
    }
    return .client(client)
  }

  private static func address(of hop: String) -> SocketAddress? {
    guard let (host, port) = ForwardedHeader.parts(of: hop), !host.utf8.contains(UInt8(ascii: "%")),
      !host.utf8.contains(UInt8(ascii: "["))
    else { return nil }
    return SocketAddress(host: String(host), port: port ?? 0)?.unmapped
  }
}
