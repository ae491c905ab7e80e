/// What a watcher asks of its descriptor.
public nonisolated struct Interest: OptionSet, Sendable, Hashable, CustomStringConvertible {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let read = Interest(rawValue: 1)
  public static let write = Interest(rawValue: 2)

  public var description: String {
    switch self {
    case []: "nothing"
    case .read: "read"
    case .write: "write"
    default: "read and write"
    }
  }
}

/// What the kernel reports of a descriptor. Hangup and error come unasked.
public nonisolated struct Readiness: OptionSet, Sendable, Hashable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let readable = Readiness(rawValue: 1)
  public static let writable = Readiness(rawValue: 2)
  /// Both directions are shut, or the last writer of a pipe is gone.
  public static let hangup = Readiness(rawValue: 4)
  /// An error waits on the descriptor (SO_ERROR tells it), or the reader of a pipe is gone.
  public static let error = Readiness(rawValue: 8)

  /// The part of the readiness that a watcher with this interest gets; hangup and error always count.
  func wanted(by interest: Interest) -> Readiness {
    intersection(Readiness(rawValue: interest.rawValue).union([.hangup, .error]))
  }
}
