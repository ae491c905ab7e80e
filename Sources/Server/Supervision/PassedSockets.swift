import CLinux
import Core
import EventLoop
import Glibc
package import Logging

/// Listening sockets that the service manager passed, by the names that its socket units give them.
@MainActor package final class PassedSockets {
  private var all: [ServiceEnvironment.Passed]

  package init(_ passed: [ServiceEnvironment.Passed] = []) { all = passed }

  /// Takes the listening TCP sockets with one of some names; the caller owns them.
  ///
  /// - Parameter includesUnnamed: also those without a name.
  /// - Throws: `CoreInitError` for one that is something else.
  package func take(_ names: [String], includesUnnamed: Bool = false) throws -> [Int32] {
    func isWanted(_ passed: ServiceEnvironment.Passed) -> Bool {
      passed.name.map(names.contains) ?? includesUnnamed
    }
    let found = all.filter(isWanted)
    all.removeAll(where: isWanted)
    for passed in found {
      guard let problem = Self.problem(clinux_listener_problem(passed.descriptor)) else { continue }
      let name = passed.name.map { " (\($0))" } ?? ""
      throw CoreInitError(
        "Descriptor \(passed.descriptor)\(name) of the service manager cannot be served: \(problem)")
    }
    return found.map(\.descriptor)
  }

  private static func problem(_ code: Int32) -> String? {
    switch code {
    case 0: nil
    case 1: "it is not open"
    case 2: "it is no socket"
    case 3: "it is no stream socket (ListenStream=)"
    case 4: "it does not listen: connections one by one (Accept=yes) are not supported"
    default: "it is neither IPv4 nor IPv6"
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
