import CLinux
import Core
import EventLoop
import Glibc
package import Logging

/// Listening sockets that the service manager passed, by the names that its socket units give them.
@MainActor package final class PassedSockets {
  private var all: [ServiceEnvironment.Passed]

  package init(_ passed: [ServiceEnvironment.Passed] = []) { all = passed }

  /// Takes the listening sockets with one of some names; the caller owns them.
  ///
  /// - Parameters:
  ///   - includesUnnamed: also those without a name.
  ///   - allowsUNIX: UNIX sockets beside those of TCP.
  /// - Throws: `CoreInitError` for one that is something else.
  package func take(_ names: [String], includesUnnamed: Bool = false, allowsUNIX: Bool = false) throws -> [Int32] {
    func isWanted(_ passed: ServiceEnvironment.Passed) -> Bool {
      passed.name.map(names.contains) ?? includesUnnamed
    }
    let found = all.filter(isWanted)
    all.removeAll(where: isWanted)
    for passed in found {
      let code = clinux_listener_problem(passed.descriptor, allowsUNIX ? 1 : 0)
      guard let problem = Self.problem(code, allowsUNIX: allowsUNIX) else { continue }
      let name = passed.name.map { " (\($0))" } ?? ""
      throw CoreInitError(
        "Descriptor \(passed.descriptor)\(name) of the service manager cannot be served: \(problem)")
    }
    return found.map(\.descriptor)
  }

  private static func problem(_ code: Int32, allowsUNIX: Bool) -> String? {
    switch code {
    case 0: nil
    case 1: "it is not open"
    case 2: "it is no socket"
    case 3: "it is no stream socket (ListenStream=)"
    case 4: "it does not listen: connections one by one (Accept=yes) are not supported"
    default: allowsUNIX ? "it is neither IPv4 nor IPv6 nor a UNIX socket" : "it is neither IPv4 nor IPv6"
    }
  }

  /// Closes what nobody took, and says so.
  package func closeRest(_ logger: Logger) {
    for passed in all {
      let name = passed.name ?? "without a name"
      logger.warning("The service manager passed descriptor \(passed.descriptor) (\(name)), which nothing here uses")
      close(passed.descriptor)
    }
    all = []
  }
}
