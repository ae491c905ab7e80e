/// The answer of a resolver.
public struct Resolution: Sendable {
  /// Every package that the client needs, with those it was asked for, sorted by bytes.
  public var packages: [[UInt8]] = []
  /// Names that no source has, sorted by bytes.
  public var unknown: [UnknownName] = []
  /// Only of the strict resolver: packages of the answer that say that they cannot be together.
  public var conflicts: [PackageConflict] = []
  /// Only of the strict resolver: repositories that are not there, and whose packages may be missing.
  public var missingParts: [MissingPart] = []

  public init() {}
}

/// A name that could not be resolved.
public struct UnknownName: Sendable, Equatable {
  public enum Reason: Sendable, Equatable {
    /// No source has a package of this name, or one that provides it.
    case notFound
    /// There is one, but not in the version that is needed: the relation as a package tool would write it.
    case wrongVersion
    /// It is on the blacklist, or not on the whitelist, of each source that has it.
    case excluded
  }

  public var name: [UInt8]
  public var reason: Reason
  /// A package that needs it; nil if the client's bundles name it. Bcfg2's resolver does not say.
  public var wantedBy: [UInt8]?

  public init(name: [UInt8], reason: Reason = .notFound, wantedBy: [UInt8]? = nil) {
    self.name = name
    self.reason = reason
    self.wantedBy = wantedBy
  }
}

public struct PackageConflict: Sendable, Equatable {
  public var package: [UInt8]
  /// What it does not stand: a name, or a name with a version.
  public var relation: [UInt8]
  /// The other package.
  public var other: [UInt8]
}

public struct MissingPart: Sendable, Equatable {
  /// The place of the source in the collection.
  public var member: Int
  public var component: String
  public var arch: String
}

/// Why there is no answer: the exception with which a version of Bcfg2 ends its resolution, after which the client gets no packages
/// from it; or sources that were made to take too long.
public struct ResolutionFailure: Error, Equatable, CustomStringConvertible {
  /// An exception as Python prints it: `KeyError: 'global'`.
  public let description: String
  init(missingKey key: String) { description = "KeyError: '\(key)'" }
  init(steps: Int) { description = "the sources need more than \(steps) steps" }
}
