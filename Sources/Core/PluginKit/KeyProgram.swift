package import EventLoop
import XMLRPC

/// Programs that make and check keys: openssl, ssh-keygen.
package enum KeyProgram {
  /// How long one may take. Primes are found by chance.
  static let timeout = Duration.seconds(120)
  /// More than any key, certificate or complaint.
  package static let outputLimitBytes = 1 << 20

  /// Runs a program that has to succeed.
  ///
  /// A secret never stands in the arguments or the environment, which others on this machine can read.
  ///
  /// - Parameters:
  ///   - purpose: what cannot be done otherwise, for the error.
  ///   - secrets: by the descriptors that the program reads them from, as with `-passin fd:3`.
  ///   - answers: what a program reads that asks for a passphrase, having no terminal: ssh-keygen has no other way.
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
    guard output.status.isSuccess else { throw PluginExecutionError("\(purpose): \(output.complaint)") }
    return output
  }
}

extension ChildProcess.Output {
  /// What a failed child had to say: what it wrote to standard error, or else to standard output, or its status. Of
  /// openssl's many lines, the one that tells an administrator what to do.
  package var complaint: String {
    for bytes in [standardError, standardOutput] {
      let text = String(decoding: bytes.prefix(4096), as: UTF8.self).trimmingBlanks
      if !text.isEmpty { return OpenSSLComplaint.sentence(text) }
    }
    switch status {
    case .exited(let code): return "Non-zero return value \(code)"
    case .signaled: return status.description
    }
  }
}
