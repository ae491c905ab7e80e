import ServerSettings
import Testing

@testable import Lint

struct LintConfigurationTests {
  private func configuration(_ text: String) throws -> LintConfiguration {
    LintConfiguration(try INIFile(bytes: Array(text.utf8), path: "bcfg2-lint.conf"))
  }

  @Test func emptyFilesGiveTheDefaults() throws {
    let empty = try configuration("")
    #expect(try empty.plugins() == nil && empty.schemaFolder() == nil && empty.severities() == [:])
    #expect(try empty.requiredInfoAttributes() == ["owner", "group", "mode"] && empty.mergeThreshold() == nil)
    #expect(try empty.required("keywords", of: .cfg) == [])
  }

  @Test func optionsAreThoseOfBcfg2() throws {
    let file = try configuration(
      """
      [lint]
      plugins = Validate, Bundler
      [errors]
      unused-bundle = warn
      no-infoxml = silent
      paranoid-false = error
      [InfoXML]
      required_attrs = owner
      [MergeFiles]
      threshold = 80
      [Comments]
      global_keywords = Id
      cfg_keywords = Date, Author
      probes_keywords =
      """)
    #expect(try file.plugins() == ["Validate", "Bundler"])
    #expect(
      try file.severities() == ["unused-bundle": .warning, "no-infoxml": .silent, "paranoid-false": .error])
    #expect(try file.requiredInfoAttributes() == ["owner"] && file.mergeThreshold() == 0.8)
    #expect(try file.required("keywords", of: .cfg) == ["Id", "Date", "Author"])
    #expect(try file.required("keywords", of: .probes) == [] && file.required("keywords", of: .genshi) == ["Id"])
    #expect(throws: SettingsError.self) { try configuration("[MergeFiles]\nthreshold = much").mergeThreshold() }
  }

  /// The names of checks and errors are those of Bcfg2 1.4, and those of the server's messages.
  @Test func checksAndErrorsAreThoseOf14() {
    #expect(
      LintPlugin.all.map(\.name) == [
        "AWSTags", "Bundler", "Cfg", "Comments", "Crypto", "Genshi", "GroupNames", "GroupPatterns", "InfoXML", "Jinja2",
        "MergeFiles", "Metadata", "Pkgmgr", "RequiredAttrs", "TemplateAbuse", "TemplateHelper", "Validate",
        "ValidateJSON",
        "Server",
      ])
    #expect(LintPlugin.severities(LintPlugin.all, [:]).count == 63)
    #expect(
      LintPlugin.standard(for: ["Metadata"]).map(\.name) == [
        "Comments", "Crypto", "Genshi", "GroupNames", "Jinja2", "MergeFiles", "Metadata", "RequiredAttrs",
        "TemplateAbuse",
        "Validate", "ValidateJSON", "Server",
      ])
    let severities = LintPlugin.severities([.bundler], ["unused-bundle": .error, "unknown": .silent])
    #expect(severities["unused-bundle"] == .error && severities["bundle-not-found"] == .error)
  }

  @Test func aMisspeltSeverityIsRefused() throws {
    let file = try configuration("[errors]\nno-infoxml = eror\n")
    #expect(throws: SettingsError.self) { try file.severities() }
  }
}
