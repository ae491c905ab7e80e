/// A text of an index, by number. 0 is the empty text, which stands for "none".
public struct TextID: Hashable, Sendable {
  public let number: UInt32
  public init(_ number: UInt32) { self.number = number }
  public static let none = TextID(0)
}

/// A package record of an index, by number, in the order of the mirror's files.
public struct RecordID: Hashable, Sendable, Comparable {
  public let number: UInt32
  public init(_ number: UInt32) { self.number = number }
  public static func < (one: RecordID, other: RecordID) -> Bool { one.number < other.number }
}

/// One repository of the source: what the mirror gave for one component and architecture.
public struct IndexPart: Sendable {
  public var component: TextID
  public var arch: TextID
  public var flags: PartFlags
  /// Its records, which follow each other.
  public var records: Range<UInt32>
  /// When the mirror made it, in seconds since 1970 as the mirror says; 0 if it does not.
  public var made: UInt32
}

public struct PartFlags: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// The mirror did not give it, and there is nothing of an earlier time.
  public static let isMissing = PartFlags(rawValue: 1)
  /// It is what the mirror gave at an earlier time.
  public static let isKept = PartFlags(rawValue: 2)
}

/// One package of one part, in one version.
public struct PackageRecord: Sendable {
  public var name: TextID
  /// As the packages' own tools write it: `epoch:upstream-revision` for deb, `epoch:version-release` for rpm.
  public var version: TextID
  /// The package's own architecture, which may be `all` or `noarch`.
  public var arch: TextID
  public var part: UInt16
  public var flags: RecordFlags
  public var relations: Range<UInt32>
  public var provides: Range<UInt32>
}

public struct RecordFlags: OptionSet, Sendable {
  public let rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }
  /// `Essential: yes`.
  public static let isEssential = RecordFlags(rawValue: 1)
  /// There is a field `Essential`, whatever it says: for Bcfg2 1.3.4 that is enough.
  public static let saysEssential = RecordFlags(rawValue: 2)
  /// It is of a module's stream that is not a default one.
  public static let isHidden = RecordFlags(rawValue: 4)
}

/// What a package says about another.
public enum RelationKind: UInt8, Sendable {
  case depends, preDepends, recommends, suggests, supplements, enhances, conflicts, obsoletes
}

/// How a version is compared.
public enum VersionOperator: UInt8, Sendable {
  case none, less, lessOrEqual, equal, greaterOrEqual, greater
}

/// One alternative of one relation.
public struct PackageRelation: Sendable {
  public var kind: RelationKind
  public var comparison: VersionOperator
  public var flags: RelationFlags
  /// Without version and without `qualifier`; of a rich one the whole text.
  public var name: TextID
  public var version: TextID
  /// What follows a colon in a deb dependency: `any`, `native`, an architecture.
  public var qualifier: TextID
}

public struct RelationFlags: OptionSet, Sendable {
  public let rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }
  /// The next row is another alternative of the same relation.
  public static let orNext = RelationFlags(rawValue: 1)
  /// A rich dependency of rpm: `(a if b)`.
  public static let isRich = RelationFlags(rawValue: 2)
  /// It stands on a continuation line, which Bcfg2 does not read.
  public static let isContinued = RelationFlags(rawValue: 4)
  /// For the installation only (rpm's `pre="1"`).
  public static let isForInstallation = RelationFlags(rawValue: 8)
}

/// A name that a package provides beside its own: a virtual package, a capability, a file.
public struct PackageProvide: Sendable {
  public var name: TextID
  public var version: TextID
  public var record: RecordID
  public var comparison: VersionOperator
  public var flags: ProvideFlags
}

public struct ProvideFlags: OptionSet, Sendable {
  public let rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }
  /// A path of the list of files, which is kept because some package of the source requires it.
  public static let isFile = ProvideFlags(rawValue: 1)
  /// It stands on a continuation line, which Bcfg2 does not read.
  public static let isContinued = ProvideFlags(rawValue: 2)
}

/// A group of packages: comps of yum, `%GROUPS%` of pacman.
public struct PackageGroup: Sendable {
  public var id: TextID
  /// For people; none if there is none.
  public var name: TextID
  public var part: UInt32
  public var members: Range<UInt32>
}

public struct GroupMember: Sendable {
  public enum Kind: UInt32, Sendable {
    case mandatory, `default`, optional, conditional, unknown
  }

  public var name: TextID
  public var kind: Kind
  /// A conditional member belongs to the group if this package is installed.
  public var requires: TextID
}
