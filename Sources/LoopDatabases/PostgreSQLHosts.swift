import Databases
import EventLoop

/// The hosts of a connection with their addresses: libpq would look names up and keep the loop waiting.
nonisolated struct PostgreSQLHosts: Equatable {
  /// For libpq's `host` and `hostaddr`, which name as many. A host of several addresses is there for each; nil where libpq uses
  /// its default.
  var hosts: String?
  var addresses: String?

  /// - Throws: `unavailable` if no host has an address.
  @MainActor static func find(
    _ settings: DatabaseSettings, _ resolver: () -> any AddressResolver
  ) async throws(DatabaseError) -> PostgreSQLHosts {
    guard let text = settings.host ?? settings.options["host"], !text.isEmpty, settings.options["hostaddr"] == nil
    else { return PostgreSQLHosts() }
    var pairs: [(host: String, address: String)] = []
    for host in text.split(separator: ",", omittingEmptySubsequences: false).map(String.init) {
      if host.isEmpty || host.hasPrefix("/") || host.hasPrefix("@") {
        pairs.append((host, ""))
      } else if SocketAddress(host: host, port: 0) != nil {
        pairs.append((host, host))
      } else {
        pairs += await resolver().addresses(of: host).map { (host, $0) }
      }
    }
    guard !pairs.isEmpty else { throw settings.error(.unavailable, "no address of \(text) is known") }
    return PostgreSQLHosts(
      hosts: pairs.map(\.host).joined(separator: ","), addresses: pairs.map(\.address).joined(separator: ","))
  }
}
