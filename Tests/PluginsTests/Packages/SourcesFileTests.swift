import Core
import CoreSupport
import Identity
import Logging
import OrderedCollections
import PackageSources
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Plugins

@Suite struct SourcesFileTests {
  private let log = LogRecorder(level: .info)
  private let folder = TemporaryDirectory()

  private func file(
    _ files: [String: String], _ change: (inout Settings) -> Void = { _ in }, creates: Bool = false,
    monitor: any FileMonitor = ComparingMonitor()
  ) -> SourcesFile {
    for (name, text) in files { folder.write(text, to: "Packages/\(name)") }
    var settings = Settings()
    settings.repository = folder.path
    change(&settings)
    let fixed = settings
    let file = SourcesFile(
      settings: { fixed }, createsFile: creates, monitor: monitor, logger: log.logger(label: "Packages"))
    file.watch()
    return file
  }

  @Test func everyAttributeAndElementIsRead() throws {
    let file = file([
      "sources.xml": """
      <Sources><Source type='APT' url='http://d' version='sid' debsrc='true' recommended='True' essential='no' name='n'>
      <Component>main</Component><Component>contrib</Component><Arch>amd64</Arch><Arch>i386</Arch>
      <Blacklist>b</Blacklist><Whitelist>w</Whitelist><GPGKey>http://k/1</GPGKey><GPGKey>http://k/2</GPGKey>
      <Options proxy='p' clientonly='true'/><Options a='1' b='2' serveronly='True'/><Options a='3'/>
      </Source></Sources>
      """
    ])
    let source = try #require(file.sources.first?.source)
    #expect(source.kind == .apt && source.url == "http://d/" && source.rawURL == "" && source.version == "sid")
    #expect(source.components == ["main", "contrib"] && source.arches == ["amd64", "i386"])
    #expect(source.blacklist == ["b"] && source.whitelist == ["w"] && source.gpgKeys == ["http://k/1", "http://k/2"])
    #expect(source.hasDebSource && source.usesRecommended && !source.usesEssential && source.name == "n")
    // In the order of Python.
    #expect(source.clientOptions.map { "\($0.name)=\($0.value)" } == ["a=3", "proxy=p"])
    #expect(source.serverOptions.map { "\($0.name)=\($0.value)" } == ["a=3", "b=2"])
    #expect(log.lines.isEmpty)
    #expect(self.file([:], { $0.compatibility = .v1_3 }).sources.first?.source.name == nil)
  }

  @Test func aSourceWithoutAttributesHasTheDefaults() throws {
    let source = try #require(file(["sources.xml": "<Sources><Source type='yum'/></Sources>"]).sources.first?.source)
    #expect(source.kind == .yum && source.url == "" && source.rawURL == "" && source.version == "")
    #expect(source.usesEssential && !source.usesRecommended && !source.hasDebSource && source.arches.isEmpty)
  }

  @Test func conditionsAreThoseOfAllElementsAround() throws {
    let file = file([
      "sources.xml": """
      <Sources xmlns:xi='http://www.w3.org/2001/XInclude'><Group name='debian'>
      <Client name='two' negate='true'><Group name='old' negate='true'><Group name='sid'>
      <Source type='apt' rawurl='http://d/x'><Arch>amd64</Arch><Arch>i386</Arch></Source>
      </Group></Group></Client><xi:include href='more.xml'/></Group></Sources>
      """,
      "more.xml": "<Sources><Source type='pac' url='http://p/'><Arch>x86_64</Arch></Source></Sources>",
    ])
    #expect(file.sources.map(\.source.kind) == [.apt, .pac])
    let (first, second) = (file.sources[0], file.sources[1])
    #expect(first.groups == ["sid", "debian"] && second.groups == ["debian"])
    #expect(first.source.rawURL == "http://d/x/")
    for (client, groups, holds) in [
      ("one", ["debian", "sid"], true), ("two", ["debian", "sid"], false), ("one", ["debian", "sid", "old"], false),
      ("one", ["debian"], false), ("one", ["sid"], false),
    ] as [(String, [String], Bool)] {
      let metadata = Self.metadata(client, groups)
      #expect(first.holds(for: metadata) == holds, "\(client) \(groups)")
      #expect(second.holds(for: metadata) == groups.contains("debian"))
    }
    #expect(first.arches(of: Self.metadata("one", ["i386", "amd64", "sid"])) == ["amd64", "i386"])
    #expect(first.arches(of: Self.metadata("one", ["armhf"])) == [])
  }

  private static func metadata(_ name: String, _ groups: [String]) -> ClientMetadata {
    ClientMetadata(
      hostname: ClientName(unchecked: name), profile: nil, groups: NameSet(groups), bundles: [], aliases: [],
      addresses: [], categories: [:], uuid: nil, password: nil, version: nil)
  }

  @Test func sourcesWithoutAKnownTypeAreLeftOutAlone() {
    let text = """
      <Sources><Source url='http://u:secret@d/'/><Source rawurl='http://r/' url='http://d/'/><Source type='Portage'/>
      <Source type='Yum'><Arch>a</Arch></Source><Source type='pkgng'/><Source type='apt'><Arch>a</Arch></Source></Sources>
      """
    let file = file(["sources.xml": text], { $0[PackagesOptions.standard.backends] = ["Apt", "Yum", "Pac"] })
    #expect(file.sources.map(\.source.kind) == [.yum, .apt])
    #expect(
      log.take() == [
        "error Packages: No type specified for source at http://d/, skipping",
        "error Packages: No type specified for source at http://r/, skipping",
        "error Packages: Unknown source type Portage; known are apt, yum, pac",
        "error Packages: Unknown source type pkgng; known are apt, yum, pac",
      ])
    // 1.3.4 has no such option.
    let old = self.file(
      [:],
      {
        $0[PackagesOptions.standard.backends] = ["Apt"]
        $0.compatibility = .v1_3
      })
    #expect(old.sources.count == 3)
  }

  @Test func whatIsMistypedIsNamed() {
    let text = """
      <Sources><Group name='g'><Source type='apt' verson='1' url='http://u:secret@d/' xml:base='b'><Archs>a</Archs></Source>
      <Sorce/></Group></Sources>
      """
    let file = file(["sources.xml": text])
    #expect(file.sources.count == 1)
    let lines = log.take().map { $0.replacing("\(folder.path)/", with: "") }.sorted()
    #expect(
      lines == [
        "warning Packages: Packages/sources.xml: the source at http://d/ has no Arch and applies to no client",
        "warning Packages: Packages/sources.xml: unknown attribute verson of a Source has no effect",
        "warning Packages: Packages/sources.xml: unknown element <Archs> has no effect",
        "warning Packages: Packages/sources.xml: unknown element <Sorce> has no effect",
      ])
  }

  @Test func afterABadEditTheLastGoodVersionStays() {
    let monitor = ComparingMonitor()
    let file = file(["sources.xml": "<Sources><Source type='yum'/></Sources>"], monitor: monitor)
    var changes = 0
    file.onChange = { changes += 1 }
    let before = file.input.changedAt
    folder.write("<Sources><Source type=", to: "Packages/sources.xml")
    monitor.processPending()
    #expect(file.sources.count == 1 && changes == 0 && file.input.changedAt == before)
    #expect(log.take().contains { $0.contains("Packages/sources.xml:1") })
    folder.write("<Sources/>", to: "Packages/sources.xml")
    monitor.processPending()
    #expect(file.sources.isEmpty && changes == 1 && file.input.changedAt > before)
  }

  @Test func aMissingFileIsMade() throws {
    _ = file([:], creates: true)
    #expect(log.take().count == 2)
    folder.write("", to: "Packages/other")
    let made = file([:], creates: true)
    #expect(made.sources.isEmpty && made.lastProblem == nil)
    #expect(try folder.text("Packages/sources.xml") == "<Sources/>\n")
  }

  @Test func aProgramReadsEachSourceOnce() throws {
    let source = "<Source type='apt' url='http://d'><Component>main</Component><Arch>amd64</Arch></Source>"
    folder.write(
      "<Sources><Group name='a'>\(source)</Group><Group name='b'>\(source)<Source type='pac' rawurl='x'/></Group></Sources>",
      to: "Packages/sources.xml")
    var settings = Settings()
    settings.repository = folder.path
    let logger = log.logger(label: "Packages")
    #expect(try SourcesFile.read(settings, logger: logger).map(\.kind) == [.apt, .pac])
    folder.write("<Sources>", to: "Packages/sources.xml")
    #expect(throws: SourcesFileError.self) { try SourcesFile.read(settings, logger: logger) }
    folder.remove("Packages/sources.xml")
    #expect(throws: SourcesFileError.self) { try SourcesFile.read(settings, logger: logger) }
  }
}

@Suite struct PackagesOptionTests {
  /// What of `resolver` and `metadata` is on, by version: each has its errors.
  @Test(arguments: [
    ("1.4", "", true, true), ("1.4", "resolver = 0", true, true), ("1.4", "resolver = disabled", true, false),
    ("1.4", "metadata = false", true, true), ("1.4", "metadata = disabled", false, false),
    ("1.4", "metadata = disabled\nresolver = enabled", false, false),
    ("1.3", "", true, true), ("1.3", "resolver = 0", false, false), ("1.3", "resolver = on", true, true),
    ("1.3", "resolver = disabled", true, false), ("1.3", "metadata = disabled", true, true),
    ("1.3", "resolver = on\nmetadata = disabled", true, true),
    ("1.3", "resolver = enabled\nmetadata = disabled", false, false),
    ("1.3", "resolver = disabled\nmetadata = 0", true, false),
  ])
  func switchesAreReadAsEachVersionDoes(_ row: (version: String, lines: String, metadata: Bool, resolver: Bool)) throws
  {
    let settings = try Settings(conf: "[server]\ncompatibility = \(row.version)\n[packages]\n\(row.lines)\n")
    let switches = PackagesSwitches(settings)
    #expect(switches.readsMetadata == row.metadata && switches.resolves == row.resolver)
  }

  @Test func aSwitchThatDoesNotTurnOffIsNamed() throws {
    #expect(
      PackagesSwitches(try Settings(conf: "[packages]\nresolver = off\n")).surprise?.contains("resolver = off") == true)
    #expect(PackagesSwitches(try Settings(conf: "[packages]\nresolver = disabled\n")).surprise == nil)
  }
}
