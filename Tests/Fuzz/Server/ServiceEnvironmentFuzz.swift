@testable import Server

/// Reads the bytes as variables of a service manager, `NAME=value` with zero bytes between: no trap, and only descriptors that are
/// there, each once, in order, from 3 on.
nonisolated func fuzzServiceEnvironment(_ bytes: [UInt8]) {
  var variables: [String: String] = [:]
  for text in bytes.split(separator: 0) {
    let parts = text.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { continue }
    variables[String(decoding: parts[0], as: UTF8.self)] = String(decoding: parts[1], as: UTF8.self)
  }
  let environment = ServiceEnvironment(variables, process: 42) { $0 % 5 != 0 }
  let descriptors = environment.passed.map(\.descriptor)
  precondition(descriptors.allSatisfy { (3..<67).contains($0) && $0 % 5 != 0 }, "a descriptor that is not there")
  precondition(
    zip(descriptors, descriptors.dropFirst()).allSatisfy { $0 < $1 }, "descriptors twice, or in another order")
  precondition(variables["LISTEN_PID"] == "42" || descriptors.isEmpty, "descriptors of another process")
  precondition(environment.watchdog.map { $0 >= .milliseconds(10) } ?? true, "too short a watchdog")
  precondition(environment.notifySocket.map { $0.utf8.count < 108 } ?? true, "no socket has this path")
  let status = NotifySocket.status(String(decoding: bytes, as: UTF8.self))
  precondition(!status.utf8.contains { $0 < 0x20 }, "more than a line")
}
