import EventLoop

/// Programs that make and check keys: openssl, ssh-keygen.
enum KeyProgram {
  /// How long one may take. Primes are found by chance.
  static let timeout = Duration.seconds(120)
  /// More than any key, certificate or complaint.
  static let outputLimitBytes = 1 << 20

  /// Runs a program that has to succeed.
  ///
  /// - Parameter purpose: what cannot be done otherwise, for the error.
  /// - Throws: `PluginExecutionError`.
  static func run(_ arguments: [String], purpose: String, on loop: EventLoop) async throws -> ChildProcess.Output {
    let output: ChildProcess.Output
    do {
      output = try await ChildProcess.run(
        arguments, timeout: timeout, outputLimitBytes: outputLimitBytes, on: loop)
    } catch {
      throw PluginExecutionError("\(purpose): \(error)")
    }
    guard output.status.isSuccess else { throw PluginExecutionError("\(purpose): \(output.complaint)") }
    return output
  }
}

extension ChildProcess.Output {
  /// What a failed child had to say: what it wrote to standard error, or else to standard output, or its status.
  var complaint: String {
    for bytes in [standardError, standardOutput] {
      let text = String(decoding: bytes.prefix(4096), as: UTF8.self).trimmingBlanks
      if !text.isEmpty { return text }
    }
    switch status {
    case .exited(let code): return "Non-zero return value \(code)"
    case .signaled: return status.description
    }
  }
}
