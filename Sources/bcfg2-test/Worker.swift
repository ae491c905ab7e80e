import ClientChecks
import EventLoop
import FoundationEssentials
import Glibc

/// A process for a part of the clients: a core has one thread. Its results come by a file without a name.
@MainActor
final class Worker {
  private static let limitBytes = 256 << 20

  private let child: ChildProcess
  private let file: UnsafeMutablePointer<FILE>

  /// Why there are no results.
  struct Problem: Error, CustomStringConvertible {
    let description: String
  }

  /// - Throws: `SystemError` if it cannot be started.
  init(_ arguments: [String], on loop: Reactor) throws {
    guard let file = tmpfile() else { throw SystemError(call: "tmpfile", errno: errno) }
    self.file = file
    var configuration = ChildProcess.Configuration(["/proc/self/exe"] + arguments)
    configuration.standardOutput = .descriptor(fileno(file))
    configuration.hasOwnGroup = false
    child = try ChildProcess(configuration, on: loop)
  }

  isolated deinit { fclose(file) }

  /// Waits for its end.
  func results() async throws -> [ClientResult] {
    let status = await child.waitForExit()
    guard status.isSuccess else { throw Problem(description: "a process for a part of the clients ended: \(status)") }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    rewind(file)
    while case let count = fread(&chunk, 1, chunk.count, file), count > 0 {
      bytes += chunk[..<count]
      guard bytes.count <= Self.limitBytes else { throw Problem(description: "a part's results are too many") }
    }
    return try JSONDecoder().decode([ClientResult].self, from: Data(bytes))
  }
}
