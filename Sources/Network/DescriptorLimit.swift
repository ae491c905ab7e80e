import Glibc
package import ServerSettings

/// The process's limit of descriptors, made to fit the connections, or the connections to it.
package enum DescriptorLimit {
  /// Descriptors for everything but connections: listeners, epoll, inotify, log, files being written, and the pipes of
  /// child processes.
  static let reserve = 192

  /// Raises the soft limit as far as the connections need and the hard limit lets, and cuts the connections to what
  /// there is: so that a file can be written and a child process started whatever clients do.
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

  /// Cuts the connections to a limit of descriptors.
  static func fit(_ limits: inout NetworkLimits, to descriptors: Int) -> String? {
    let room = descriptors - reserve - limits[.refusedConnections]
    guard room < limits[.connections] else { return nil }
    let configured = limits[.connections]
    limits[.connections] = max(1, room)
    return "\(limits[.connections]) instead of \(configured) connections are served: the process may open "
      + "\(descriptors) files. Raise LimitNOFILE of the service (ulimit -n)"
  }
}
