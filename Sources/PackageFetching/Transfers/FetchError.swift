import EventLoop

/// Why a file, or a part of a source, cannot be had: which URL, what is wrong, what was expected.
package nonisolated struct FetchError: Error, Sendable, CustomStringConvertible {
  package enum Kind: Sendable {
    /// The mirror has no such file.
    case missing
    /// The file is not what another file of the mirror says: perhaps the mirror was changed in between.
    case mismatch
    /// A signature is missing or wrong, or too old.
    case signature
    /// Everything else.
    case other
  }

  package let kind: Kind
  /// The whole message, without passwords.
  package let description: String

  init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }

  init(_ failure: TransferFailure) { self.init(failure.isMissing ? .missing : .other, failure.description) }

  init(_ error: SystemError) { self.init(.other, error.description) }
}
