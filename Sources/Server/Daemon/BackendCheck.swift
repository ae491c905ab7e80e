import ServerSettings

extension Settings {
  /// Refuses a `[server] backend` that this program does not have.
  ///
  /// - Parameter hasNIO: whether it was built with the core on SwiftNIO.
  /// - Throws: `SettingsError`.
  func requireBackend(hasNIO: Bool) throws(SettingsError) {
    let there = hasNIO ? "best, builtin, multiprocessing, nio" : "best, builtin, multiprocessing"
    switch self.backend {
    case "cherrypy":
      let instead = hasNIO ? "nio, on SwiftNIO," : "nio, on SwiftNIO, which this bcfg2-server was built without,"
      throw wrongValue(
        "server", "backend", value: self.backend,
        allowed: "\(there); CherryPy is Python's, \(instead) is in its place here")
    case "nio" where !hasNIO:
      throw wrongValue(
        "server", "backend", value: self.backend,
        allowed: "\(there): this bcfg2-server was built without SwiftNIO, which "
          + "scripts/release-build.sh --traits Web,NIO builds in")
    default: return
    }
  }
}
