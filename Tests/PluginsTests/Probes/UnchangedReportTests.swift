import CoreSupport
import Databases
import EventLoop
import LoopDatabases
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core
@testable import Plugins

/// What a report outdates: nothing where it says what is known, else what asked for what differs.
@Suite(.serialized) struct UnchangedReportTests {
  private static let files = [
    "Metadata/groups.xml": """
    <Groups><Group name="base" profile="true" default="true"><Bundle name="a"/><Bundle name="b"/><Bundle name="c"/></Group></Groups>
    """,
    "Metadata/clients.xml": """
    <Clients><Client name="one" profile="base"/><Client name="two" profile="base"/></Clients>
    """,
    "Bundler/a.xml": "<Bundle><BoundAction name='always' command='true'/></Bundle>",
    "Bundler/b.xml": "<Bundle><Group name='red'><BoundAction name='isRed' command='true'/></Group></Bundle>",
    "Bundler/c.xml": "<Bundle><Path name='/t'/></Bundle>", "Cfg/t/t.genshi": "${metadata.Probes['p']}\n",
    "Probes/p": "#!/bin/sh\n",
  ]

  /// Where data of probes is.
  nonisolated enum Place: CaseIterable, Sendable {
    case files, database
  }

  private static func run(
    _ place: Place, _ mode: MetadataCacheMode, _ body: (RepositoryFixture) async throws -> Void
  ) async throws {
    try await LoopDriver.withLoop { loop in
      var settings = RepositoryFixture.settings
      settings.plugins = ["Metadata", "Bundler", "Cfg", "Probes"]
      settings[ServerOptions.standard.clientMetadataCache] = mode
      let names = ["10.0.0.1": "one", "10.0.0.2": "two"]
      var core: RepositoryFixture.MakeCore = ServerCore.init(settings:loop:fileMonitor:resolver:registry:)
      let database = try TestDatabase(.sqlite)
      if place == .database {
        settings[ProbesOptions.standard.usesDatabase] = true
        settings[DatabaseOptions.standard.engine] = database.settings.engine.rawValue
        core = RepositoryFixture.core(with: try BlockingLoopDatabase(database.settings))
      }
      let fixture = try RepositoryFixture(
        files: files, names: names, settings: settings, recordsPlugins: true, core: core, on: loop)
      for client in 1...2 {
        try await report(fixture, "group:blue\nfirst \(client)\n", client)
        #expect(try await answer(fixture, client).contains("first \(client)"))
      }
      try await body(fixture)
      fixture.core.shutdown()
    }
  }

  private static func report(_ fixture: RepositoryFixture, _ text: String, _ client: Int = 1) async throws {
    #expect(await fixture.ask("RecvProbeData", [DatabaseSite.data([("p", text)])], client: client) == "true")
  }

  private static func answer(_ fixture: RepositoryFixture, _ client: Int = 1) async throws -> String {
    await fixture.ask("GetConfig", client: client)
  }

  /// Structures that were made, answers that were served as they were, and templates that were rendered.
  private struct Counts: Equatable {
    var made = 0
    var kept = 0
    var rendered = 0

    @MainActor init(_ core: ServerCore) {
      made = core.answerCache.counts[.structures]?.made ?? 0
      kept = core.answerCache.configurationHits
      rendered = core.templates.renderedCount
    }

    init(made: Int, kept: Int, rendered: Int) {
      self.made = made
      self.kept = kept
      self.rendered = rendered
    }

    static func - (one: Counts, other: Counts) -> Counts {
      Counts(made: one.made - other.made, kept: one.kept - other.kept, rendered: one.rendered - other.rendered)
    }
  }

  /// What it costs to answer both clients after a report of the first one.
  private static func cost(_ fixture: RepositoryFixture, of text: String) async throws -> Counts {
    let before = Counts(fixture.core)
    try await report(fixture, text)
    for client in 1...2 { _ = try await answer(fixture, client) }
    return Counts(fixture.core) - before
  }

  @Test(arguments: Place.allCases, [MetadataCacheMode.off, .initial, .cautious, .aggressive])
  func oneWithoutNewsOutdatesNothing(_ place: Place, _ mode: MetadataCacheMode) async throws {
    try await Self.run(place, mode) { fixture async throws in
      let core = fixture.core
      let (state, clients, known) = (core.generation(of: "one"), core.clientChanges, core.metadataCache["one"])
      #expect(try await Self.cost(fixture, of: "group:blue\nfirst 1\n") == Counts(made: 0, kept: 2, rendered: 0))
      #expect(core.generation(of: "one") == state && core.clientChanges == clients)
      #expect(core.metadataCache["one"] === known && (known != nil) == (mode == .cautious || mode == .aggressive))
    }
  }

  @Test(arguments: Place.allCases) func otherGroupsCostThatClientWhatAskedForThem(_ place: Place) async throws {
    try await Self.run(place, .off) { fixture async throws in
      let other = fixture.core.generation(of: "two")
      // The bundle that asks for the group; the template's data is the same.
      #expect(
        try await Self.cost(fixture, of: "group:blue\ngroup:red\nfirst 1\n") == Counts(made: 1, kept: 1, rendered: 0))
      #expect(try await Self.answer(fixture).contains("isRed"))
      #expect(fixture.core.generation(of: "two") == other)
      // A group that nothing asks for costs nothing but the metadata.
      #expect(
        try await Self.cost(fixture, of: "group:green\ngroup:red\nfirst 1\n") == Counts(made: 0, kept: 1, rendered: 0))
    }
  }

  @Test(arguments: Place.allCases) func otherDataCostsWhatAskedForIt(_ place: Place) async throws {
    try await Self.run(place, .off) { fixture async throws in
      #expect(try await Self.cost(fixture, of: "group:blue\nsecond\n") == Counts(made: 1, kept: 1, rendered: 1))
      #expect(try await Self.answer(fixture).contains("second"))
      #expect(try await Self.answer(fixture, 2).contains("first 2"))
    }
  }
}
