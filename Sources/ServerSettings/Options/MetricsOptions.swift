public import EventLoop

/// `[metrics]`: where monitors get metrics and the state of the server.
public nonisolated struct MetricsOptions: OptionGroup {
  public static let standard = MetricsOptions()

  public let listen = Option(
    "metrics", "listen", .text, .ours,
    help:
      "Where monitors get /metrics, /healthz and /readyz: ADDRESS:PORT, [ADDRESS]:PORT or the path of a UNIX socket; "
      + "default: nowhere")
  public let allow = Option(
    "metrics", "allow", .commaList, default: "", .ours,
    help: "Networks, such as 192.0.2.0/24, that may ask besides this machine; needed for a listen that others reach")
}

/// Where monitors are answered, and whom.
public nonisolated struct MonitoringPlace: Sendable, Equatable {
  /// What to bind.
  public let address: SocketAddress
  /// Who may ask besides this machine.
  public let networks: [NetworkPrefix]

  /// Whether a peer may ask. The mode of a UNIX socket says who may connect to it.
  public func allows(_ peer: SocketAddress) -> Bool { Self.allows(peer, networks) }

  /// The same for a socket that is at no place of the settings.
  public static func allows(_ peer: SocketAddress, _ networks: [NetworkPrefix]) -> Bool {
    peer.isLoopback || networks.contains { $0.contains(peer) }
  }

  /// The value of `[metrics] listen` as an address; nil if it is none. A port of 0 is any that is free.
  static func address(_ text: String) -> SocketAddress? {
    if text.utf8.first == UInt8(ascii: "/") {
      // What sockaddr_un has room for.
      return text.utf8.count <= 107 && !text.utf8.contains(0) ? .unix(text) : nil
    }
    guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { return nil }
    let digits = text[text.index(after: colon)...]
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits) else {
      return nil
    }
    let host = text[..<colon]
    let isBracketed = host.utf8.first == UInt8(ascii: "[") && host.utf8.last == UInt8(ascii: "]")
    guard isBracketed == host.utf8.contains(UInt8(ascii: ":")) else { return nil }
    return SocketAddress(host: host == "localhost" ? "127.0.0.1" : String(host), port: port)
  }
}

nonisolated extension Settings {
  /// The networks of which monitors are answered, besides this machine.
  ///
  /// - Throws: `SettingsError` for a value that is no network.
  public func monitoringNetworks() throws(SettingsError) -> [NetworkPrefix] {
    let allow = MetricsOptions.standard.allow
    var networks: [NetworkPrefix] = []
    for text in self[allow] {
      guard let network = NetworkPrefix(text) else {
        throw wrongValue(
          allow, value: text, allowed: "addresses and networks between commas, such as 192.0.2.0/24, 2001:db8::/32")
      }
      networks.append(network)
    }
    return networks
  }

  /// Where monitors are answered; nil: nowhere.
  ///
  /// - Throws: `SettingsError` for a value that is no address or network, and for an address that other machines reach
  ///   while no network is allowed to ask.
  public func monitoringPlace() throws(SettingsError) -> MonitoringPlace? {
    let options = MetricsOptions.standard
    let networks = try monitoringNetworks()
    guard let text = self[options.listen], !text.isEmpty else { return nil }
    guard let address = MonitoringPlace.address(text) else {
      throw wrongValue(
        options.listen, value: text,
        allowed: "ADDRESS:PORT, [ADDRESS]:PORT, or the absolute path of a UNIX socket of at most 107 bytes")
    }
    guard address.isLoopback || !networks.isEmpty else {
      throw wrongValue(
        options.listen, value: text,
        allowed:
          "an address of this machine alone (127.0.0.1, [::1]) or a UNIX socket, unless [metrics] allow names who may ask"
      )
    }
    return MonitoringPlace(address: address, networks: networks)
  }
}
