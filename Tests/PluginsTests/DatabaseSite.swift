import Core
import CoreSupport
import Databases
import EventLoop
import Identity
import LoopDatabases
import ServerSettings
import Support
import XMLRPC

@testable import Plugins

/// One or more servers with `use_database` on one database.
final class DatabaseSite {
  static let files = [
    "Metadata/groups.xml": """
    <Groups><Group name="base" profile="true" default="true"><Bundle name="b"/></Group>
    <Group name="open" profile="true" public="true"><Bundle name="b"/></Group></Groups>
    """,
    "Bundler/b.xml": """
    <Bundle><Group name="red"><BoundAction name="isRed" command="true"/></Group>
    <Group name="blue"><BoundAction name="isBlue" command="true"/></Group></Bundle>
    """,
    "Probes/p": "#!/bin/sh\n",
  ]

  let loop: Reactor
  private let database: TestDatabase

  init(_ engine: DatabaseEngine, on loop: Reactor) throws {
    self.loop = loop
    database = try TestDatabase(engine)
  }

  /// A further connection, to look at the tables or to change them as other programs do.
  func connection() throws -> BlockingLoopDatabase { try BlockingLoopDatabase(database.settings) }

  /// Starts a server.
  func server(_ files: [String: String] = files) throws -> (fixture: RepositoryFixture, database: BlockingLoopDatabase)
  {
    var settings = RepositoryFixture.settings
    settings.plugins = ["Metadata", "Bundler", "Probes"]
    settings[MetadataOptions.standard.usesDatabase] = true
    settings[ProbesOptions.standard.usesDatabase] = true
    settings[DatabaseOptions.standard.engine] = self.database.settings.engine.rawValue
    let database = try connection()
    let names = ["10.0.0.1": "one", "10.0.0.2": "two", "10.0.0.3": "three"]
    let fixture = try RepositoryFixture(
      files: files, names: names, settings: settings, recordsPlugins: true,
      core: RepositoryFixture.core(with: database), on: loop)
    return (fixture, database)
  }

  static func run(_ engine: DatabaseEngine = .sqlite, _ body: (DatabaseSite) async throws -> Void) async throws {
    try await LoopDriver.withLoop { loop in try await body(DatabaseSite(engine, on: loop)) }
  }

  /// The rows of a statement, one text a row.
  func rows(_ sql: String) async throws -> [String] {
    let result = try await connection().run(Self.quoted(sql), [])
    return result.rows.map { $0.map { $0.asText ?? "NULL" }.joined(separator: "|") }
  }

  func change(_ sql: String) async throws { _ = try await connection().run(Self.quoted(sql), []) }

  /// A statement with the names of the tables in quotes.
  static func quoted(_ sql: String) -> String {
    ["Server_metadataclientmodel", "Server_probesdatamodel", "Server_probesgroupsmodel"].reduce(sql) {
      $0.replacing($1, with: "\"\($1)\"")
    }
  }

  static func data(_ probes: [(String, String)]) -> Value {
    let texts = probes.map { "<probe-data name='\($0.0)' source='Probes'>\($0.1)</probe-data>" }
    return .string("<probe-data>\(texts.joined())</probe-data>")
  }
}
