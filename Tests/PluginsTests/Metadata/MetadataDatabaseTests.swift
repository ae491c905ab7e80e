import Core
import CoreSupport
import Databases
import EventLoop
import Identity
import LoopDatabases
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Plugins

@Suite struct MetadataDatabaseTests {
  private static let clients = "SELECT hostname, version FROM Server_metadataclientmodel ORDER BY hostname"

  @Test(arguments: TestDatabase.engines) func aClientIsAddedAndKeepsItsVersion(_ engine: DatabaseEngine) async throws {
    try await DatabaseSite.run(engine) { site in
      let (first, _) = try site.server()
      #expect(await first.ask("GetConfig").contains("<Configuration"))
      #expect(try await site.rows(Self.clients) == ["one|NULL"])
      #expect(await first.ask("DeclareVersion", [.string("1.4.0")]) == "true")
      #expect(await first.ask("DeclareVersion", [.string("1.3.4")], client: 2) == "true")
      #expect(try await site.rows(Self.clients) == ["one|1.4.0", "two|1.3.4"])
      #expect(first.repository.names(in: "Metadata") == ["groups.xml"])
      let (second, database) = try site.server()
      #expect(await second.core.metadata.listClients().isEmpty)
      #expect(await second.ask("GetDecisionList", [.string("whitelist")]) == "[]")
      #expect(await second.core.metadata.listClients() == ["one", "two"])
      #expect(try await second.core.buildMetadata("one").version == "1.4.0")
      #expect(try await second.core.buildMetadata("two").profile == "base")
      // What is there already is not written again.
      #expect(await second.ask("DeclareVersion", [.string("1.4.0")]) == "true")
      #expect(!database.takeChanges().contains { $0.sql.contains("metadataclientmodel\" SET") })
    }
  }

  @Test(arguments: TestDatabase.engines) func whatBcfg2RefusesIsRefusedInItsWords(_ engine: DatabaseEngine) async throws
  {
    try await DatabaseSite.run(engine) { site in
      let (server, _) = try site.server()
      _ = await server.ask("GetConfig")
      #expect(
        await server.ask("AssertProfile", [.string("open")])
          == "fault 1 DBMetadata does not support asserting client profiles")
      #expect(
        await server.ask("AssertProfile", [.string("base")])
          == "fault \(Fault.critical("").code) Critical failure: Unable to assert profile for one: "
          + "Cannot set client one to private group base")
      // A new client is added, and has the default profile.
      #expect(await server.ask("AssertProfile", [.string("open")], client: 2) == "true")
      #expect(try await server.core.buildMetadata("two").profile == "base")
      let metadata = try server.plugin(MetadataPlugin.self)
      await #expect(throws: PluginExecutionError.self) { try await metadata.updateClient("one", ["auth": "cert"]) }
      await #expect(throws: MetadataConsistencyError.self) { try await metadata.removeClient("nobody") }
      #expect(server.log.take().contains { $0.contains("does not support updating clients with use_database enabled") })
      try await metadata.removeClient("one")
      #expect(try await site.rows(Self.clients) == ["two|NULL"])
      #expect(await metadata.listClients() == ["two"])
    }
  }

  @Test(arguments: TestDatabase.engines) func clientsXMLSaysMoreOfClientsOfTheDatabase(_ engine: DatabaseEngine)
    async throws
  {
    try await DatabaseSite.run(engine) { site in
      var files = DatabaseSite.files
      files["Metadata/clients.xml"] = "<Clients><Client name=\"one\" profile=\"open\" password=\"s\"/></Clients>"
      let (server, _) = try site.server(files)
      server.monitor.processPending()
      // The database has not been asked for it yet.
      #expect(await server.core.metadata.listClients().isEmpty)
      #expect(await server.ask("GetConfig").contains("<Configuration"))
      let metadata = try await server.core.buildMetadata("one")
      #expect(metadata.profile == "open" && metadata.password == "s")
      #expect(try await site.rows(Self.clients) == ["one|NULL"])
    }
  }

  @Test(arguments: TestDatabase.engines) func anotherServersChangesAreInTheNextCall(_ engine: DatabaseEngine)
    async throws
  {
    try await DatabaseSite.run(engine) { site in
      let (one, _) = try site.server()
      let (two, _) = try site.server()
      #expect(await one.ask("GetConfig").contains("<Configuration"))
      #expect(await two.ask("GetConfig").contains("<Configuration"))
      #expect(await one.ask("DeclareVersion", [.string("1.4.0")]) == "true")
      #expect(try await two.core.buildMetadata("one").version == nil)
      #expect(await two.ask("GetProbes").contains("<probe"))
      #expect(try await two.core.buildMetadata("one").version == "1.4.0")
      try await one.plugin(MetadataPlugin.self).removeClient("one")
      #expect(two.core.metadata.knowsClient("one"))
      // It is added again by its own call, without a version.
      #expect(await two.ask("GetProbes").contains("<probe"))
      #expect(try await site.rows(Self.clients) == ["one|NULL"])
      // Of clients that called another server only the list is told.
      #expect(await one.ask("GetConfig", client: 2).contains("<Configuration"))
      #expect(await !two.core.metadata.listClients().contains("two"))
      try await two.plugin(MetadataPlugin.self).database?.list()
      #expect(await two.core.metadata.listClients().contains("two"))
      try await one.plugin(MetadataPlugin.self).removeClient("two")
      try await two.plugin(MetadataPlugin.self).database?.list()
      #expect(await two.core.metadata.listClients() == ["one"])
    }
  }

  @Test(arguments: TestDatabase.engines) func aLongListIsReadInPages(_ engine: DatabaseEngine) async throws {
    try await DatabaseSite.run(engine) { site in
      let (first, _) = try site.server()
      _ = await first.ask("GetConfig")
      let numbers = (0..<2500).map { "('c\($0)', '1')" }.joined(separator: ", ")
      try await site.change("INSERT INTO Server_metadataclientmodel (hostname, version) VALUES \(numbers)")
      let (second, _) = try site.server()
      _ = await second.ask("GetConfig")
      #expect(await second.core.metadata.listClients().count == 2501)
    }
  }

  /// Without clients.xml and a default profile a client that the database has gets an empty configuration, as in Bcfg2.
  @Test func aClientInNoGroupIsToldOfOnce() async throws {
    try await DatabaseSite.run { site in
      let (first, _) = try site.server()
      _ = await first.ask("GetConfig")
      var files = DatabaseSite.files
      files["Metadata/groups.xml"] = """
        <Groups><Group name="base" profile="true"><Bundle name="b"/></Group>
        <Client name="two"><Group name="base"/></Client></Groups>
        """
      try await site.change("INSERT INTO Server_metadataclientmodel (hostname) VALUES ('two')")
      let (second, _) = try site.server(files)
      for _ in 0..<2 {
        #expect(await !second.ask("GetConfig").contains("<Bundle"))
        #expect(await second.ask("GetConfig", client: 2).contains("<Bundle"))
      }
      let told = second.log.take().filter { $0.contains("is in no group") }
      #expect(told.count == 1 && told[0].contains("one is in no group"), "\(told)")
    }
  }

  @Test func noMoreClientsAddThemselvesThanAreAllowed() async throws {
    try await DatabaseSite.run { site in
      let (server, _) = try site.server()
      _ = await server.ask("GetConfig")
      var settings = server.core.settings
      settings[MetadataOptions.standard.clientLimit] = 1
      server.core.settingsChanged(settings)
      #expect(await server.ask("GetConfig", client: 2).contains("Cannot add new client two"))
      #expect(try await site.rows(Self.clients) == ["one|NULL"])
    }
  }
}
