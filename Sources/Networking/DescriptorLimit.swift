import Glibc
package import ServerSettings

/// Fits the process's limit of descriptors to the connections, or the connections to the limit.
package enum DescriptorLimit {
  /// Descriptors for everything but connections: listeners, epoll, inotify, log, files being written, and the pipes of
  /// child processes.
  static let reserve = 192

  /// Raises the soft limit as far as the connections need and the hard limit allows, and reduces the connections to what
  /// fits, so that clients never take the descriptors for files and child processes.
  ///
  /// - Returns: a sentence for the log where less than the configured number of connections is served.
  package static func provide(for limits: inout NetworkLimits) -> String? {
    var current = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &current) == 0 else { return nil }
    let wanted = limits[.connections] + limits[.refusedConnections] + reserve
    if current.rlim_cur < rlim_t(wanted) {
      var raised = current
      raised.rlim_cur = min(rlim_t(wanted), current.rlim_max)
      if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { current = raised }
    }
    return fit(&limits, to: Int(clamping: current.rlim_cur))
  }

  /// Reduces the connections to a limit of descriptors.
  static func fit(_ limits: inout NetworkLimits, to descriptors: Int) -> String? {
    let room = descriptors - reserve - limits[.refusedConnections]
    guard room < limits[.connections] else { return nil }
    let configured = limits[.connections]
    limits[.connections] = max(1, room)
    return "\(limits[.connections]) instead of \(configured) connections are served: the process may open "
      + "\(descriptors) files. Raise LimitNOFILE of the service (ulimit -n)"
  }
}
