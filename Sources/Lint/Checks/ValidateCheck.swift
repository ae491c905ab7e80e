import EventLoop
import Repository
import XMLRPC

extension LintPlugin {
  /// XML files can be parsed and fit their schemas.
  static let validate = LintPlugin(
    "Validate",
    errors: [
      "schema-failed-to-parse": .warning, "properties-schema-not-found": .warning, "xml-failed-to-parse": .error,
      "xml-failed-to-read": .error, "xml-failed-to-verify": .error, "xinclude-does-not-exist": .error,
      "input-output-error": .error,
    ]
  ) { context in
    let check = ValidateCheck(context)
    for (pattern, schema) in ValidateCheck.patterns { check.checkFiles(pattern, schema) }
    check.checkProperties()
  }
}

final class ValidateCheck {
  /// Files and their schemas. `/**/` stands for folders of any depth.
  static let patterns: KeyValuePairs<String, String> = [
    "Metadata/groups.xml": "metadata", "Metadata/clients.xml": "clients", "Cfg/**/info.xml": "info",
    "Cfg/**/privkey.xml": "privkey", "Cfg/**/pubkey.xml": "pubkey", "Cfg/**/authorizedkeys.xml": "authorizedkeys",
    "Cfg/**/authorized_keys.xml": "authorizedkeys", "Cfg/**/sslcert.xml": "sslca-cert",
    "Cfg/**/sslkey.xml": "sslca-key",
    "SSHbase/**/info.xml": "info", "TGenshi/**/info.xml": "info", "TCheetah/**/info.xml": "info",
    "Bundler/*.xml": "bundle", "Bundler/*.genshi": "bundle", "Pkgmgr/*.xml": "pkglist", "Rules/*.xml": "rules",
    "Defaults/*.xml": "defaults", "etc/report-configuration.xml": "report-configuration", "Deps/*.xml": "deps",
    "Decisions/*.xml": "decisions", "Packages/sources.xml": "packages", "GroupPatterns/config.xml": "grouppatterns",
    "AWSTags/config.xml": "awstags", "NagiosGen/config.xml": "nagiosgen", "FileProbes/config.xml": "fileprobes",
    "GroupLogic/groups.xml": "grouplogic",
  ]

  private let context: LintContext
  /// Schemas by path; nil for those that cannot be used.
  private var schemas: [String: XMLSchema?] = [:]
  /// Files that were checked, with their schema's path: an included file may fit a pattern, too.
  private var checked: Set<[String]> = []
  /// Files that were told of as a whole.
  private var broken: Set<String> = []

  init(_ context: LintContext) { self.context = context }

  func checkFiles(_ pattern: String, _ schema: String) {
    for path in files(pattern) { check(path, schemaPath: "\(context.schemas.path)/\(schema).xsd") }
  }

  private func files(_ pattern: String) -> [String] {
    guard let range = pattern.firstRange(of: "/**/") else { return context.files(pattern) }
    let name = "/" + pattern[range.upperBound...]
    return context.allFiles(below: String(pattern[..<range.lowerBound])).filter { $0.hasSuffix(name) }
  }

  /// Files of Properties may have a schema of their own beside them.
  func checkProperties() {
    for path in context.files("Properties/*.xml") {
      let schema = path.dropLast(4) + ".xsd"
      if fileExists(String(schema)) {
        check(path, schemaPath: String(schema))
      } else {
        context.report.add("properties-schema-not-found", "No schema found for \(path)", at: .init(path))
        _ = parse(path)
      }
    }
  }

  private func check(_ path: String, schemaPath: String) {
    guard let schema = schema(schemaPath), let included = parse(path) else { return }
    for file in [path] + included where checked.insert([file, schemaPath]).inserted {
      verify(file, schema, schemaPath)
    }
  }

  /// Parses a file with all that it includes as the server does.
  ///
  /// - Returns: the files that it includes; nil if it cannot be used.
  private func parse(_ path: String) -> [String]? {
    let read = context.document(path)
    // Of some files alone nothing that they include needs to be there.
    if !context.isPartial {
      for problem in read.problems where broken.insert("\(problem)").inserted {
        context.report.add(
          "xinclude-does-not-exist", "\(problem)", at: .init(problem.path, line: problem.line))
      }
    }
    guard case .failure(let error) = read.document else { return context.isPartial ? [] : read.includedFiles }
    guard broken.insert(error.path).inserted else { return nil }
    let place = Finding.Place(error.path, line: error.line)
    if error.cause != nil {
      context.report.add("xml-failed-to-read", "Failed to open file \(error.path): \(error.message)", at: place)
    } else {
      context.report.add("xml-failed-to-parse", "\(error.path) fails to parse:", more: ["\(error)"], at: place)
    }
    return nil
  }

  private func verify(_ path: String, _ schema: XMLSchema, _ schemaPath: String) {
    guard let bytes = context.bytes(of: path), let document = SourceDocument(bytes, path: path) else { return }
    var problems = schema.problems(in: document)
    // A template may make text between elements that vanishes, or become elements.
    if document.isGenshi { problems.removeAll { $0.isTextBetweenElements } }
    guard let first = problems.first else { return }
    let parts = problems.map { Finding.Part(place: .init(path, line: $0.line), message: $0.message) }
    let lines = parts.map { "\($0.place.path):\($0.place.line): \($0.message)" }
    context.report.add(
      "xml-failed-to-verify", "\(path) fails to verify:", more: lines,
      at: .init(path, line: first.line), parts: parts)
  }

  private func schema(_ path: String) -> XMLSchema? {
    if let known = schemas[path] { return known }
    let schema = load(path)
    schemas[path] = schema
    return schema
  }

  private func load(_ path: String) -> XMLSchema? {
    guard fileExists(path) else {
      context.report.add("input-output-error", "Error reading file '\(path)': no such file", at: .init(path))
      return nil
    }
    do throws(SchemaProblem) {
      return try XMLSchema(path: path)
    } catch {
      context.report.add(
        "schema-failed-to-parse", "Failed to process schema \(path): \(error)", at: .init(path, line: error.line))
      return nil
    }
  }
}
