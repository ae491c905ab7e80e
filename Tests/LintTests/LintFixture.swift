import CoreSupport
import ServerSettings
import Support

@testable import Lint

/// A repository with files, and what the checks of files find in it.
struct LintFixture {
  let folder = TemporaryDirectory()

  /// - Parameter files: texts by paths below the repository.
  init(_ files: KeyValuePairs<String, String>) {
    for (name, text) in files { folder.write(text, to: "repo/\(name)") }
  }

  /// Runs checks.
  ///
  /// - Parameters:
  ///   - conf: lines of bcfg2-lint.conf.
  ///   - only: the files of `--stdin`.
  func findings(_ plugins: [LintPlugin], conf: String = "", only files: [String]? = nil) throws -> [Finding] {
    let settings = try Settings(conf: "[server]\nrepository = \(folder.file("repo"))\nplugins = Metadata\n")
    let configuration = LintConfiguration(try INIFile(bytes: Array(conf.utf8), path: "bcfg2-lint.conf"))
    let severities = LintPlugin.severities(plugins, try configuration.severities())
    let context = LintContext(
      settings: settings, configuration: configuration,
      schemas: SchemaFolder(path: "\(Project.root)/schemas"), report: LintReport(severities: severities),
      messages: GatheredLog(), files: files)
    try LintRun(plugins, context).runOnFiles()
    return context.report.findings
  }

  /// The same, as lines `NAME FILE:LINE` below the repository.
  func lines(_ plugins: [LintPlugin], conf: String = "", only files: [String]? = nil) throws -> [String] {
    try findings(plugins, conf: conf, only: files).map { finding in
      let place = finding.place.map { " \($0.path.dropFirst(folder.file("repo/").count)):\($0.line)" } ?? ""
      return finding.name + place
    }
  }
}
