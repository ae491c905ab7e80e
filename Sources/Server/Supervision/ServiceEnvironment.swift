import Glibc

/// What a service manager (systemd) tells a service by environment variables, and the descriptors that it passes.
///
/// Source of the protocol: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).
public nonisolated struct ServiceEnvironment: Sendable {
  /// A descriptor that was passed, with its name; nil where the manager gave none.
  public struct Passed: Sendable, Hashable {
    public let descriptor: Int32
    public let name: String?
  }

  /// `NOTIFY_SOCKET`: a path, or a name in the abstract namespace, which begins with `@`.
  public var notifySocket: String?
  /// `WATCHDOG_USEC`: the longest time between two signs of life.
  public var watchdog: Duration?
  /// `LISTEN_FDS`, in their order.
  public var passed: [Passed] = []
  /// What of it cannot be understood, for the log.
  public var problems: [String] = []

  /// A shorter time would have the loop do nothing else.
  private static let shortestWatchdog = Duration.milliseconds(10)
  /// More descriptors are not looked at.
  private static let passedLimit = 64
  private static let firstDescriptor: Int32 = 3
  private static let names = [
    "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID",
  ]

  /// Nothing: the process was not started by a service manager.
  public init() {}

  /// Reads the variables. What is meant for another process does not count.
  ///
  /// - Parameters:
  ///   - process: this process's number.
  ///   - isOpen: whether a descriptor is there. The number of one that is not will soon be that of this process's own.
  public init(_ variables: [String: String], process: Int32, isOpen: (Int32) -> Bool = { _ in true }) {
    if let path = variables["NOTIFY_SOCKET"], !path.isEmpty {
      if path.hasPrefix("/") || path.hasPrefix("@"), path.utf8.count < 108 {
        notifySocket = path
      } else {
        problems.append("NOTIFY_SOCKET=\(path) is neither a path nor an abstract name, ignored")
      }
    }
    if let text = variables["WATCHDOG_USEC"], isForUs(variables["WATCHDOG_PID"], process) {
      if let microseconds = Int64(text), microseconds > 0 {
        if Duration.microseconds(microseconds) < Self.shortestWatchdog {
          problems.append("WATCHDOG_USEC=\(text) is shorter than \(Self.shortestWatchdog), ignored")
        } else {
          watchdog = .microseconds(microseconds)
        }
      } else {
        problems.append("WATCHDOG_USEC=\(text) is no number of microseconds, ignored")
      }
    }
    if let text = variables["LISTEN_FDS"], variables["LISTEN_PID"] == "\(process)" {
      guard let count = Int32(text), count >= 0, count <= Self.passedLimit else {
        problems.append("LISTEN_FDS=\(text) is no number from 0 to \(Self.passedLimit), ignored")
        return
      }
      let names = variables["LISTEN_FDNAMES"]?.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      passed = (0..<count).map { index in
        let name = names.flatMap { Int(index) < $0.count ? $0[Int(index)] : nil }
        return Passed(descriptor: Self.firstDescriptor + index, name: name == "" || name == "unknown" ? nil : name)
      }
      let missing = passed.filter { !isOpen($0.descriptor) }.map { "\($0.descriptor)" }
      guard !missing.isEmpty else { return }
      passed.removeAll { missing.contains("\($0.descriptor)") }
      problems.append("LISTEN_FDS=\(text), but these descriptors are not open: \(missing.joined(separator: ", "))")
    }
  }

  /// `WATCHDOG_PID` may be absent: then it is for whoever gets it.
  private func isForUs(_ text: String?, _ process: Int32) -> Bool { text == nil || text == "\(process)" }

  /// Reads the variables of this process and removes them, so that no child takes them for its own; passed descriptors close
  /// on exec. Call it once, before the first fork.
  public static func take() -> ServiceEnvironment {
    var variables: [String: String] = [:]
    for name in names {
      if let value = getenv(name) { variables[name] = String(cString: value) }
      unsetenv(name)
    }
    let environment = ServiceEnvironment(variables, process: getpid()) { fcntl($0, F_GETFD) >= 0 }
    for passed in environment.passed {
      let flags = fcntl(passed.descriptor, F_GETFD)
      if flags >= 0 { _ = fcntl(passed.descriptor, F_SETFD, flags | FD_CLOEXEC) }
    }
    return environment
  }
}
