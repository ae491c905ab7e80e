import Core
import XMLRPC

/// Why a call to a child returned no value.
nonisolated enum RPCError: Error, CustomStringConvertible {
  /// The child ended or was dropped; it may or may not have executed the call.
  case childGone(ChildEnd)
  /// The parent has to build this configuration: see `RPCFrame.Kind.refused`.
  case refused
  /// A malformed answer.
  case malformed(String)

  var description: String {
    switch self {
    case .childGone(let end): "the child process is gone: \(end)"
    case .refused: "the child process may not write"
    case .malformed(let reason): "malformed answer of the child process: \(reason)"
    }
  }
}

/// How a child ended, as far as its requests are concerned.
nonisolated enum ChildEnd: Equatable, Sendable, CustomStringConvertible {
  /// By a fault of the program: a signal such as SIGSEGV or SIGTRAP.
  case crashed(String)
  /// It stayed silent for `[server] child_timeout` with work to do.
  case hung
  /// Anything else: SIGKILL by the out-of-memory killer or an administrator, an exit.
  case ended(String)

  var description: String {
    switch self {
    case .crashed(let reason), .ended(let reason): reason
    case .hung: "it hung"
    }
  }
}

/// An error of the child, with the child's text.
nonisolated struct RemoteError: Error, CustomStringConvertible {
  let description: String
}

/// Encodes errors of a build for the parent: a letter for the type, and the text.
enum BuildErrorCode {
  static func encode(_ error: any Error) -> [UInt8] {
    switch error {
    case let fault as Fault: [UInt8(ascii: "F")] + Array("\(fault.code) \(fault.string)".utf8)
    case is MetadataConsistencyError: [UInt8(ascii: "C")] + Array("\(error)".utf8)
    case is MetadataRuntimeError: [UInt8(ascii: "R")] + Array("\(error)".utf8)
    case is ValidationError: [UInt8(ascii: "V")] + Array("\(error)".utf8)
    default: [UInt8(ascii: "E")] + Array("\(error)".utf8)
    }
  }

  static func decode(_ bytes: [UInt8]) -> any Error {
    let text = String(decoding: bytes.dropFirst(), as: UTF8.self)
    switch bytes.first {
    case UInt8(ascii: "F"):
      let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, let code = Int32(parts[0]) else { return RPCError.malformed(text) }
      return Fault(code: code, string: String(parts[1]))
    case UInt8(ascii: "C"): return MetadataConsistencyError(text)
    case UInt8(ascii: "R"): return MetadataRuntimeError(text)
    case UInt8(ascii: "V"): return ValidationError(text)
    default: return RemoteError(description: text)
    }
  }
}
