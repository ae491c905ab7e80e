import CoreSupport
import EventLoop
import Repository
import Support
import Testing

@testable import Core
@testable import Plugins
@testable import ServerSettings

/// The options of the standard plugins, of the core and of the server together, as the server knows them.
@Suite struct PluginOptionTests {
  private let registry = PluginRegistry.standard.settings

  @Test func noOptionIsDeclaredTwice() {
    let groups = PluginRegistry.standard.all.map { $0.options }
    let declared = groups.flatMap(\.definitions) + SettingRegistry.server.definitions
    let places = declared.map { "[\($0.section)] \($0.option)" }
    #expect(Set(places).count == places.count)
    // The core's own are the rest.
    #expect(registry.definitions.count > places.count)
    let all = registry.definitions.map { "[\($0.section)] \($0.option)" }
    #expect(Set(all).count == all.count && Set(places).isSubset(of: all))
  }

  @Test func everyDefaultFitsItsKind() {
    for definition in registry.definitions {
      for text in [definition.standard, definition.standard13 ?? nil] {
        guard let text else { continue }
        #expect(definition.kind.parse(text, repository: "/r") != nil, "[\(definition.section)] \(definition.option)")
      }
    }
  }

  @Test func defaultsOfAnEmptyFileAreTheBuiltInOnes() throws {
    for settings in [Settings(), try Settings(conf: "")] {
      #expect(settings[ProbesOptions.standard.allowedGroups] == [".*"])
      #expect(settings[ProbesOptions.standard.layout] == .client && !settings[MetadataOptions.standard.usesDatabase])
      #expect(settings[TemplateOptions.standard.writesProperties] && settings[CfgOptions.standard.validates])
      #expect(settings[CfgOptions.standard.fileBytes] == 64 << 20 && settings[CfgOptions.standard.handlers] == nil)
      #expect(!settings[RulesOptions.standard.usesRegex] && settings[SvnOptions.standard.user] == nil)
      #expect(settings[PackagesOptions.standard.cache] == "/var/lib/bcfg2/Packages/cache")
      #expect(Encryption(settings).passphrases.isEmpty)
    }
  }

  @Test func valuesAreTypedAsTheirOptionsSay() throws {
    let settings = try Settings(
      conf: """
        [probes]
        allowed_groups = os-.* web[0-9]?
        layout = file
        [encryption]
        algorithm = AES-128-CBC
        MyKey = phrase
        decrypt = lax
        [sslca_web]
        root_ca = yes
        [packages:yum]
        metadata_expire = 90
        [cfg]
        handlers = genshi, cheetah
        """)
    #expect(settings.warnings.isEmpty)
    #expect(settings[ProbesOptions.standard.allowedGroups] == ["os-.*", "web[0-9]?"])
    #expect(settings[ProbesOptions.standard.layout] == .file)
    #expect(settings.named(EncryptionOptions.standard.passphrases) == ["MyKey": "phrase"])
    #expect(Encryption(settings).passphrases == ["MyKey": "phrase"])
    #expect(settings[AuthorityOptions.standard.isRoot, in: "sslca_web"])
    #expect(!settings[AuthorityOptions.standard.isRoot, in: "sslca_other"])
    #expect(
      settings.sections(withPrefix: "sslca_") == ["sslca_web"] && settings.options(of: "sslca_web") == ["root_ca"])
    #expect(settings.named(PackagesOptions.standard.otherYumOptions) == ["metadata_expire": "90"])
    #expect(settings[CfgOptions.standard.handlers] == ["genshi", "cheetah"])
  }

  /// A server without these groups would take entries from clients: it does not start, as Bcfg2's.
  @Test(arguments: ["probes", "awstags"]) func aPatternThatCannotBeCompiledIsAWrongValue(section: String) {
    let error = #expect(throws: SettingsError.self) {
      try Settings(conf: "[\(section)]\nallowed_groups = os-.* ((\n")
    }
    let text = "\(error.map { "\($0)" } ?? "")"
    #expect(
      text.contains("bcfg2.conf:2: [\(section)] allowed_groups: wrong value 'os-.* (('")
        && text.hasSuffix("regular expressions between spaces; '((': unbalanced parenthesis"), "\(text)")
  }

  @Test(arguments: [
    ("packages", "resolver", "sometimes"), ("probes", "client_groups", "0"), ("templates", "cache", "always"),
    ("cfg", "max_file_size", "large"), ("ldap", "retries", "1001"), ("sslca_web", "root_ca", "maybe"),
  ])
  func wrongValuesNameTheirPlaceAndWhatIsAllowed(_ row: (section: String, option: String, value: String)) throws {
    let error = #expect(throws: SettingsError.self) {
      try Settings(conf: "[\(row.section)]\n\n\(row.option) = \(row.value)\n")
    }
    let allowed = try #require(registry.definition(row.section, row.option)).kind.allowed
    #expect(
      error
        == .wrongValue(
          origin: .file(path: "bcfg2.conf", line: 3), section: row.section, option: row.option, value: row.value,
          allowed: allowed))
  }

  @Test func theCommandLineReachesAPlugin() throws {
    guard case .run(let typed) = CommandLineOptions.parse(["bcfg2-server", "--cfg-validation"], version: "0") else {
      Issue.record("no command line")
      return
    }
    let file = try INIFile(bytes: Array("[cfg]\nvalidation = yes\n".utf8), path: "bcfg2.conf")
    let settings = try Settings(file, commandLine: typed, registry: registry)
    #expect(!settings[CfgOptions.standard.validates])
    for option in CommandLineOptions.options {
      switch option.action {
      case .set(let section, let name), .flag(let section, let name, _):
        #expect(registry.definition(section, name) != nil, "--\(option.long)")
      default: break
      }
    }
  }

  @Test func theLayoutOfProbeDataIsNamedWhereItChanges() throws {
    let running = try Settings(conf: "[probes]\nlayout = client\n")
    let (adapted, notices) = try Settings(conf: "[probes]\nlayout = file\n").adapted(to: running)
    #expect(
      notices == [
        "bcfg2.conf:2: [probes] layout changes at the next start only: data was brought into this form at the start"
      ])
    #expect(adapted[ProbesOptions.standard.layout] == .client)
  }
}

// MARK: - A plugin from outside

/// Its plugin's options.
private nonisolated struct BeaconOptions: OptionGroup {
  static let standard = BeaconOptions()

  let flashes = Option("beacon", "flashes", .integer(1...9), default: "3", .ours, help: "Flashes a minute")
}

private final class BeaconPlugin: Plugin {
  override class var name: String { "Beacon" }
  override class var createsFolder: Bool { false }
  override class var options: any OptionGroup { BeaconOptions.standard }

  var flashes: Int { core.settings[BeaconOptions.standard.flashes] }
}

@Suite struct AddedPluginTests {
  private let registry = PluginRegistry([BeaconPlugin.self]).settings

  @Test func itsOptionIsReadWhereItIsDeclared() throws {
    let file = try INIFile(bytes: Array("[beacon]\nflashes = 7\n".utf8), path: "bcfg2.conf")
    let settings = try Settings(file, registry: registry)
    #expect(settings[BeaconOptions.standard.flashes] == 7 && settings.warnings.isEmpty)
    #expect(try Settings(INIFile(), registry: registry)[BeaconOptions.standard.flashes] == 3)
  }

  @Test func itsWrongValueIsNamedWithFileLineAndRange() throws {
    let file = try INIFile(bytes: Array("[server]\n[beacon]\nflashes = 10\n".utf8), path: "/etc/bcfg2.conf")
    let error = #expect(throws: SettingsError.self) { try Settings(file, registry: registry) }
    #expect(
      error?.description
        == "/etc/bcfg2.conf:3: [beacon] flashes: wrong value '10'; allowed: a whole number from 1 to 9")
    let typo = try INIFile(bytes: Array("[beacon]\nflashs = 1\n".utf8), path: "/etc/bcfg2.conf")
    #expect(
      try Settings(typo, registry: registry).warnings.map(\.description) == [
        "/etc/bcfg2.conf:2: unknown option flashs in [beacon], ignored; did you mean flashes?"
      ])
  }

  @Test func aServerWithoutItKnowsNothingOfIt() throws {
    #expect(PluginRegistry.standard.settings.definition("beacon", "flashes") == nil)
  }
}
