public import Identity

/// Tests name clients by literals; in the sources a name is made by its rules alone.
extension ClientName: ExpressibleByStringInterpolation {
  public nonisolated init(stringLiteral text: String) {
    do {
      try self.init(recorded: text)
    } catch {
      preconditionFailure("\(text) is no client's name: \(error)")
    }
  }
}

extension Caller {
  /// A client somewhere on the network.
  public nonisolated init(_ client: ClientName, ip: String = "127.0.0.1") {
    self.init(client, at: ClientAddress(ip: ip, port: 50000))
  }
}
