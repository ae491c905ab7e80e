import PackageSources

/// A source of a few packages, written as text: for its index, and for the model of the reference.
struct SmallSource {
  var source: PackageSource
  /// The packages of each part, in the order of `source.parts`.
  var parts: [[SmallPackage]]
  /// Parts that the mirror did not give.
  var missing: Set<Int> = []
  var groups: [SmallGroup] = []
  /// Whether there is an index at all.
  var isFetched = true

  init(
    _ kind: SourceKind, arches: [String] = ["amd64"], components: [String] = ["main"], _ parts: [[SmallPackage]],
    _ change: (inout PackageSource) -> Void = { _ in }
  ) {
    source = PackageSource(kind: kind)
    source.url = "http://mirror.example.com/"
    source.version = "stable"
    source.components = components
    source.arches = arches
    change(&source)
    self.parts = parts
  }

  func index() throws -> PackageIndex { try PackageIndex(bytes: indexBytes()) }

  func indexBytes() throws -> [UInt8] {
    var builder = try IndexBuilder(key: source.key)
    let required = Set(parts.joined().flatMap(\.relations).filter { $0.name.hasPrefix("/") }.map(\.name))
    var files: [(String, RecordID)] = []
    for (number, part) in source.parts.enumerated() {
      builder.beginPart(
        component: try builder.text(part.component), arch: try builder.text(part.arch),
        flags: missing.contains(number) ? .isMissing : [])
      if missing.contains(number) { continue }
      for package in parts[number] {
        let record = try builder.beginRecord(
          name: try builder.text(package.name), version: try builder.text(package.version),
          arch: try builder.text(part.arch), flags: package.flags)
        for relation in package.relations {
          try builder.addRelation(
            relation.kind, name: try builder.text(relation.name), comparison: relation.comparison,
            version: try builder.text(relation.version), qualifier: try builder.text(relation.qualifier),
            flags: relation.flags)
        }
        for provide in package.provides {
          try builder.addProvide(
            name: try builder.text(provide.name), comparison: provide.version.isEmpty ? .none : .equal,
            version: try builder.text(provide.version))
        }
        files += package.files.filter(required.contains).map { ($0, record) }
      }
      for group in groups where group.part == number {
        builder.addGroup(id: try builder.text(group.id), name: .none)
        for (name, kind) in group.members { try builder.addMember(try builder.text(name), kind) }
      }
    }
    for (path, record) in files { try builder.addFile(try builder.text(path), of: record) }
    return try builder.finish(time: 0)
  }
}

struct SmallGroup {
  var id: String
  var part = 0
  var members: [(String, GroupMember.Kind)]
}

struct SmallRelation {
  var kind: RelationKind
  var name: String
  var comparison = VersionOperator.none
  var version = ""
  var qualifier = ""
  var flags: RelationFlags = []
}

/// A package with its fields in Debian's notation.
struct SmallPackage {
  var name: String
  var version: String
  var flags: RecordFlags = []
  var relations: [SmallRelation] = []
  var provides: [(name: String, version: String)] = []
  var files: [String] = []

  /// - Parameters:
  ///   - fields: kinds with values like `a (>= 1), b:any | c`, in the order of the file.
  ///   - provides: like `a, b (= 2)`.
  init(
    _ name: String, _ version: String = "1", _ fields: [(RelationKind, String)] = [], provides: String = "",
    files: [String] = [], flags: RecordFlags = []
  ) {
    self.name = name
    self.version = version
    self.flags = flags
    self.files = files
    for (kind, text) in fields {
      for relation in Self.split(text, ",") {
        // Rich dependencies are names to everyone but the strict resolver.
        if relation.hasPrefix("(") {
          relations.append(SmallRelation(kind: kind, name: relation, flags: .isRich))
          continue
        }
        let alternatives = Self.split(relation, "|")
        for (place, alternative) in alternatives.enumerated() {
          var made = Self.relation(kind, alternative)
          if place + 1 < alternatives.count { made.flags = .orNext }
          relations.append(made)
        }
      }
    }
    for text in Self.split(provides, ",") {
      let made = Self.relation(.depends, text, hasQualifier: false)
      self.provides.append((made.name, made.version))
    }
  }

  private static func relation(_ kind: RelationKind, _ text: String, hasQualifier: Bool = true) -> SmallRelation {
    var made = SmallRelation(kind: kind, name: text)
    // `lib(64bit)` is a name, `lib (>= 1)` a name with a version.
    if let opening = text.firstRange(of: " (") {
      made.name = String(text[..<opening.lowerBound])
      let inside = text[opening.upperBound...].dropLast().split(separator: " ")
      let signs: [String: VersionOperator] = [
        "<<": .less, "<": .less, "<=": .lessOrEqual, "=": .equal, ">=": .greaterOrEqual, ">>": .greater, ">": .greater,
      ]
      made.comparison = signs[String(inside[0])]!
      made.version = String(inside[1])
    }
    if hasQualifier, !made.name.hasPrefix("/"), let colon = made.name.lastIndex(of: ":") {
      made.qualifier = String(made.name[made.name.index(after: colon)...])
      made.name = String(made.name[..<colon])
    }
    return made
  }

  private static func split(_ text: String, _ separator: Character) -> [String] {
    var parts = [""]
    var depth = 0
    for character in text {
      if character == "(" { depth += 1 } else if character == ")" { depth -= 1 }
      if character == separator, depth == 0 { parts.append("") } else { parts[parts.count - 1].append(character) }
    }
    return parts.map(trim).filter { !$0.isEmpty }
  }

  private static func trim(_ text: String) -> String {
    String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}

/// A collection of small sources for a client of some architectures.
func collection(_ sources: [SmallSource], groups: Set<String> = ["amd64"]) throws -> PackageCollection {
  PackageCollection(try sources.map { ($0.source, $0.isFetched ? try $0.index() : nil) }, isGroup: groups.contains)
}

func bytes(_ names: [String]) -> [[UInt8]] { names.map { Array($0.utf8) } }

func strings(_ names: [[UInt8]]) -> [String] { names.map { String(decoding: $0, as: UTF8.self) } }

/// A source of each kind with one part.
func apt(_ packages: [SmallPackage], _ change: (inout PackageSource) -> Void = { _ in }) -> SmallSource {
  SmallSource(.apt, [packages], change)
}

func yum(_ packages: [SmallPackage], _ change: (inout PackageSource) -> Void = { _ in }) -> SmallSource {
  SmallSource(.yum, arches: ["x86_64"], [packages], change)
}
