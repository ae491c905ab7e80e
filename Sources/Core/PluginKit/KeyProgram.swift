package import EventLoop
import XMLRPC

/// Runs programs that make and check keys: openssl, ssh-keygen.
package enum KeyProgram {
  /// Time limit of a run. Finding primes takes a random time.
  static let timeout = Duration.seconds(120)
  /// Larger than any key, certificate or error.
  package static let outputLimitBytes = 1 << 20

  /// Runs a program and fails unless it succeeds.
  ///
  /// Secrets are never passed in arguments or environment, which others on this machine can read.
  ///
  /// - Parameters:
  /// - purpose: the failed task, for the error.
  /// - secrets: by the descriptors from which the program reads them, as with `-passin fd:3`.
  /// - answers: standard input for a program that asks for a passphrase without a terminal: ssh-keygen has no other
  ///   way.
  /// - Throws: `PluginExecutionError`.
  package static func run(
    _ arguments: [String], purpose: String, secrets: [Int32: [UInt8]] = [:], answers: [UInt8]? = nil,
    on loop: Reactor
  ) async throws -> ChildProcess.Output {
    var environment: [String: String]?
    if answers != nil {
      environment = Environment.own
      for name in ["DISPLAY", "WAYLAND_DISPLAY", "SSH_ASKPASS"] { environment?[name] = nil }
      environment?["SSH_ASKPASS_REQUIRE"] = "never"
    }
    let output: ChildProcess.Output
    do {
      output = try await ChildProcess.run(
        arguments, input: answers ?? [], environment: environment, secrets: secrets, hasOwnSession: answers != nil,
        timeout: timeout, outputLimitBytes: outputLimitBytes, on: loop)
    } catch {
      throw PluginExecutionError("\(purpose): \(error)")
    }
    guard output.status.isSuccess else { throw PluginExecutionError("\(purpose): \(output.failureReason)") }
    return output
  }
}

extension ChildProcess.Output {
  /// The reason of a failure: the program's standard error, else standard output, else status. openssl's many lines are
  /// reduced to the one that helps an administrator.
  package var failureReason: String {
    for bytes in [standardError, standardOutput] {
      let text = String(decoding: bytes.prefix(4096), as: UTF8.self).trimmingBlanks
      if !text.isEmpty { return OpenSSLOutput.summary(text) }
    }
    switch status {
    case .exited(let code): return "Non-zero return value \(code)"
    case .signaled: return status.description
    }
  }
}
