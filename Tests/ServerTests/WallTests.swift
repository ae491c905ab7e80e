import Support
import Testing

/// Which module may import which, and which folders know each other.
///
/// Not on the main actor: reading all sources takes seconds, during which no loop of another test would run.
@Suite nonisolated struct WallTests {
  private static let references = Result { try References(Source.all) }

  /// What each module imports, by the table in INTERNALS.md, "The modules".
  private let table: [String: Set<String>]

  init() throws {
    var table: [String: Set<String>] = [:]
    for line in try Project.text("INTERNALS.md").split(separator: "\n") {
      guard let row = line.wholeMatch(of: /\| `([^`]+)` \| [^|]+ \|([^|]*)\|/) else { continue }
      table[String(row.1)] = Set(row.2.matches(of: /\w+/).map { String($0.0) })
    }
    self.table = table
  }

  /// Folders of one module that know each other, as one group each. A new circle is a mistake, or belongs here with a
  /// reason.
  static let circles: Set<Set<String>> = [
    // The loop has a queue of children and a writer of files, which run on the loop.
    ["EventLoop/Files", "EventLoop/Loop", "EventLoop/Processes"],
    // A plugin is given the core, the core calls plugins, and asks what is in the kit to render templates.
    ["Core/Build", "Core/Cache", "Core/Database", "Core/Parts", "Core/Plugin", "Core/PluginKit", "Core/Templates"],
  ]

  /// The compiler does not refuse every import that Package.swift leaves out: it may find the module all the same.
  @Test func modulesImportWhatTheTableSays() throws {
    let known = table.values.reduce(Set(table.keys)) { $0.union($1) }
    for source in try Source.all {
      let allowed = try #require(table[source.module], "\(source.path): INTERNALS.md has no row for its module")
      let wrong = source.imports.filter { known.contains($0) && !allowed.contains($0) }
      #expect(wrong.isEmpty, "\(source.path): the table in INTERNALS.md does not allow these imports")
    }
  }

  @Test func theTableOfModulesIsThatOfThePackage() throws {
    let package = try Project.text("Package.swift")
    for (module, imports) in table {
      let target = try #require(
        package.firstRange(of: "arget(name: \"\(module)\"")
          ?? package.firstRange(
            of: "arget(\n      name: \"\(module)\""), "\(module)")
      // The dependencies come next, if the target has any.
      let rest = package[target.upperBound...]
      let end = rest.firstRange(of: "arget(")?.lowerBound ?? rest.endIndex
      var declared: Set<String> = []
      if let start = rest[..<end].firstRange(of: "dependencies: [") {
        let list = rest[start.upperBound...].prefix { $0 != "]" }.replacing(/\.product\([^)]*\)/, with: "")
        declared = Set(list.matches(of: /"(\w+)"/).map { String($0.1) })
      }
      #expect(declared == imports, "\(module): Package.swift and the table in INTERNALS.md differ")
    }
  }

  @Test func foldersHaveNoNewCircles() throws {
    let references = try Self.references.get()
    print(references.matrix)
    #expect(references.circles == Self.circles, "folders that know each other; the matrix above says by how many names")
  }

  @Test func noPluginKnowsAnother() throws {
    let references = try Self.references.get()
    for (from, targets) in references.table where from.hasPrefix("Plugins/") && from != "Plugins/StandardPlugins" {
      let others = targets.keys.filter { $0.hasPrefix("Plugins/") && $0 != from }
      #expect(others.isEmpty, "\(from)")
    }
  }

  /// The tests of a file are in the folder of the same name.
  @Test func foldersOfTestsAreThoseOfTheSources() {
    let sources = Set(Project.folders(below: "Sources"))
    for path in Project.folders(below: "Tests") {
      let parts = path.split(separator: "/", maxSplits: 1)
      guard parts.count == 2, parts[0].hasSuffix("Tests"), sources.contains(String(parts[0].dropLast(5))) else {
        continue
      }
      let isThere = sources.contains("\(parts[0].dropLast(5))/\(parts[1])")
      #expect(isThere, "\(path)")
    }
  }
}

/// A file of Sources.
private nonisolated struct Source {
  /// Below Sources.
  let path: String
  let text: String

  var module: String { String(path.prefix { $0 != "/" }) }

  /// `Module/Folder`; for a plugin of one file its name.
  var folder: String {
    let parts = path.split(separator: "/")
    if parts.count == 2, parts[0] == "Plugins" { return "Plugins/\(parts[1].dropLast(6))" }
    return parts.dropLast().joined(separator: "/")
  }

  /// Modules that the file imports.
  var imports: [String] {
    lines.compactMap { line in
      let words = line.split(separator: " ")
      guard let place = words.firstIndex(of: "import"), place + 1 < words.count else { return nil }
      return words[..<place].allSatisfy { $0.hasPrefix("@") || $0 == "public" || $0 == "package" }
        ? String(words[place + 1]) : nil
    }
  }

  private var lines: [Substring] { text.split(separator: "\n") }

  /// Names of the types that the file declares for others, nested ones left out.
  var types: [String] {
    lines.compactMap { line in
      guard let first = line.first, first.isLetter || first == "@", !line.hasPrefix("private ") else { return nil }
      return Self.declared(line)
    }
  }

  /// Names that mean something else in this file: nested types, generic parameters.
  private var ownNames: Set<String> {
    var found: Set<String> = []
    for line in lines where Self.declared(line) != nil || line.contains("func ") {
      if line.first == " ", let name = Self.declared(line) { found.insert(name) }
      for part in line.split(separator: "<").dropFirst() {
        let parameters = part.prefix { $0 != ">" && $0 != "(" }
        for parameter in parameters.split(separator: ",") {
          found.insert(String(parameter.drop { $0 == " " }.prefix { $0.isLetter || $0.isNumber }))
        }
      }
    }
    return found
  }

  /// The name of the type that a line declares.
  private static func declared(_ line: Substring) -> String? {
    let kinds: Set<Substring> = ["class", "struct", "enum", "protocol", "typealias"]
    let words = line.split(separator: " ")
    if words.first?.hasPrefix("//") ?? true { return nil }
    guard let place = words.firstIndex(where: kinds.contains), place + 1 < words.count else { return nil }
    let name = words[place + 1].prefix { $0.isLetter || $0.isNumber }
    return name.first?.isUppercase == true ? String(name) : nil
  }

  /// Words of the code that begin with a capital letter, without those of comments, texts, and members' names.
  var capitalWords: Set<String> {
    var found: Set<String> = []
    for line in lines {
      let code = line.drop { $0 == " " }
      if code.hasPrefix("//") { continue }
      for (index, part) in code.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
      where index.isMultiple(of: 2) {
        for word in part.split(whereSeparator: { !$0.isLetter && !$0.isNumber && $0 != "_" && $0 != "." }) {
          if word.first?.isUppercase == true { found.insert(String(word.prefix { $0 != "." })) }
        }
      }
    }
    return found.subtracting(ownNames)
  }

  static var all: [Source] {
    get throws {
      try Project.files(below: "Sources", endings: [".swift"]).map { path in
        Source(path: path, text: try Project.text("Sources/\(path)"))
      }
    }
  }
}

/// Which folder names types of which other folder, and how many.
private nonisolated struct References {
  var table: [String: [String: Int]] = [:]

  init(_ sources: [Source]) {
    var home: [String: String] = [:]
    var twice: Set<String> = []
    for source in sources {
      for name in source.types where home.updateValue(source.folder, forKey: name) != nil { twice.insert(name) }
    }
    for source in sources {
      let known = source.imports + [source.module]
      for word in source.capitalWords where !twice.contains(word) {
        guard let target = home[word], target != source.folder, known.contains(where: { module(target) == $0 })
        else { continue }
        table[source.folder, default: [:]][target, default: 0] += 1
      }
    }
  }

  private func module(_ folder: String) -> String { String(folder.prefix { $0 != "/" }) }

  /// One line a folder: what it knows, with the number of names.
  var matrix: String {
    table.sorted { $0.key < $1.key }.map { from, targets in
      "\(from): " + targets.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }.joined(separator: "\n")
  }

  /// Folders that reach each other.
  var circles: Set<Set<String>> {
    var reach: [String: Set<String>] = [:]
    for folder in table.keys {
      var seen: Set<String> = []
      var waiting = Array(table[folder, default: [:]].keys)
      while let next = waiting.popLast() {
        if seen.insert(next).inserted { waiting += table[next, default: [:]].keys }
      }
      reach[folder] = seen
    }
    var found: Set<Set<String>> = []
    for (folder, seen) in reach where seen.contains(folder) {
      found.insert(seen.filter { reach[$0]?.contains(folder) ?? false })
    }
    return found
  }
}
