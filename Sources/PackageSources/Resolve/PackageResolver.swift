/// How packages are resolved.
public enum PackageSolver: Sendable, Equatable {
  /// As a version of Bcfg2 does, result for result.
  case bcfg2(Bcfg2Version)
  /// As package tools do.
  case strict
}

/// One of the resolvers for a collection.
public struct PackageResolver {
  public let collection: PackageCollection
  public let solver: PackageSolver

  public init(_ collection: PackageCollection, _ solver: PackageSolver) {
    self.collection = collection
    self.solver = solver
  }

  /// - Parameters:
  ///   - base: what the client's bundles name, its groups' packages and the essential ones.
  ///   - recommended: what entries say of the packages that their package recommends.
  public func complete(_ base: [[UInt8]], recommended: [[UInt8]: Bool] = [:]) throws(ResolutionFailure) -> Resolution {
    // Answers are kept by who asked: the next question may be a long time off.
    defer { for member in collection.members { member.index?.forgetPages() } }
    return switch solver {
    case .bcfg2(let version):
      try Bcfg2Resolver(collection, version: version).complete(base, recommended: recommended)
    case .strict: try StrictResolver(collection).complete(base, recommended: recommended)
    }
  }

  /// The packages that sources mark as essential, sorted by bytes.
  public func essentials() -> [[UInt8]] {
    switch solver {
    case .bcfg2(let version): Bcfg2Resolver(collection, version: version).essentials()
    case .strict: StrictResolver(collection).essentials()
    }
  }

  /// Whether sources of this kind have groups for this solver.
  public var supportsGroups: Bool {
    switch solver {
    case .bcfg2(let version): Bcfg2Resolver(collection, version: version).supportsGroups
    case .strict: collection.members.contains { $0.source.kind == .yum || $0.source.kind == .pac }
    }
  }

  /// The packages of a group; nil if no source has it.
  /// - Parameter type: `mandatory`, `default`, `optional` or `all`; nil and others count as mandatory.
  public func group(_ id: [UInt8], type: String?) -> [[UInt8]]? {
    switch solver {
    case .bcfg2(let version): Bcfg2Resolver(collection, version: version).group(id, type: type)
    case .strict: StrictResolver(collection).group(id, type: type)
    }
  }
}
