/// Looks up host names. Never waits on the loop: an implementation asks a child process or a name server.
public protocol AddressResolver: AnyObject {
  /// The canonical name of an address, as getnameinfo(3) with NI_NAMEREQD gives it; nil where there is none.
  func name(of address: String) async -> String?
  /// As `name(of:)`, of an address that somebody has connected from, who may be anybody: an implementation bounds what
  /// strangers can take from the others.
  func name(ofPeer address: String) async -> String?
  /// Records that a client has authenticated from the address, which is then no stranger's.
  func recordClient(at address: String)
  /// The addresses of a name, as getaddrinfo(3) gives them; empty where there are none.
  func addresses(of name: String) async -> [String]
}

extension AddressResolver {
  public func name(ofPeer address: String) async -> String? { await name(of: address) }
  public func recordClient(at address: String) {}
}

/// A resolver that knows what it was told: tests, and cores without a network.
public final class FixedResolver: AddressResolver {
  private let names: [String: String]

  /// - Parameter names: address to name.
  public init(_ names: [String: String] = ["127.0.0.1": "localhost", "::1": "localhost"]) { self.names = names }

  public func name(of address: String) async -> String? { names[address] }

  public func addresses(of name: String) async -> [String] {
    names.filter { $0.value == name }.map(\.key).sorted()
  }
}
