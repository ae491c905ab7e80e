/// The text of a template in the versions that may be rendered: the newest, and behind it the last that was usable.
///
/// Whether a version is usable is known when a renderer has loaded it. Until then the one before it stays, so that a
/// template that was broken by an edit goes on as it was, in every renderer process.
public final class TemplateSource {
  /// One version of the text.
  public struct Version: Sendable {
    /// Another number for each version of whatever template.
    public let number: Int
    public let bytes: [UInt8]

    public init(number: Int, bytes: [UInt8]) {
      self.number = number
      self.bytes = bytes
    }
  }

  /// Where results of a version are, for an entry.
  package struct KeptPlace {
    package let kind: TemplateJob.Kind
    package let version: Int
    package let limitBytes: Int
    package let entryName: String
    package let tree: RenderingCache.Tree

    package init(
      kind: TemplateJob.Kind, version: Int, limitBytes: Int, entryName: String, tree: RenderingCache.Tree
    ) {
      self.kind = kind
      self.version = version
      self.limitBytes = limitBytes
      self.entryName = entryName
      self.tree = tree
    }
  }

  /// Most versions that were not tried yet; the oldest is dropped.
  private static let limit = 3
  private static var lastNumber = 0
  /// Called with each source that has a new version.
  package static var observers: [ObjectIdentifier: (TemplateSource) -> Void] = [:]

  /// Absolute path of the file.
  public let path: String
  public let kind: TemplateJob.Kind
  public let isEncrypted: Bool
  /// Whether the file is a template in 1.3, too.
  public let isTemplateIn13: Bool
  /// Newest first: those that may be usable.
  public private(set) var versions: [Version] = [] { didSet { newestNumber = versions.first?.number } }
  /// The number of the newest version.
  package private(set) var newestNumber: Int?
  /// The error of the version that failed last; nil if there is a newer one.
  public private(set) var problem: String?
  private var goodNumber: Int?
  /// The place in the cache where its results were found last.
  package var keptPlace: KeptPlace?

  public init(path: String, kind: TemplateJob.Kind = .xml, isEncrypted: Bool = false, isTemplateIn13: Bool = true) {
    self.path = path
    self.kind = kind
    self.isEncrypted = isEncrypted
    self.isTemplateIn13 = isTemplateIn13
  }

  /// A number for a version of something that templates read.
  public static func nextNumber() -> Int {
    lastNumber += 1
    return lastNumber
  }

  /// Adds a new version; nothing happens where it is the newest one.
  public func update(_ bytes: [UInt8]) {
    if let newest = versions.first, newest.bytes == bytes { return }
    problem = nil
    versions.insert(Version(number: Self.nextNumber(), bytes: bytes), at: 0)
    let untried = versions.prefix { $0.number != goodNumber }.count
    if untried > Self.limit { versions.remove(at: untried - 1) }
    for tell in Self.observers.values { tell(self) }
  }

  /// Whether a renderer could use a version.
  public func isProven(_ number: Int) -> Bool { goodNumber == number }

  /// A renderer could use a version: older ones are not needed any more.
  public func isGood(_ number: Int) {
    guard number != goodNumber, let index = versions.firstIndex(where: { $0.number == number }) else { return }
    goodNumber = number
    versions.removeLast(versions.count - index - 1)
  }

  /// A renderer could not use a version, for a reason. Returns true the first time.
  public func isBad(_ number: Int, _ reason: String) -> Bool {
    guard let index = versions.firstIndex(where: { $0.number == number }) else { return false }
    if index == 0 { problem = reason }
    versions.remove(at: index)
    return true
  }
}
