import CoreSupport
import Databases
import EventLoop
import Glibc
import Support
import Testing

/// Children of the multiprocessing core with `use_database`: each has a connection of its own.
@Suite(.serialized) struct MultiprocessingDatabaseTests {
  private static func settings(_ database: DatabaseSettings) -> [String: [String]] {
    let place = [
      ("engine", database.engine.rawValue), ("name", database.name), ("user", database.user),
      ("password", database.password), ("host", database.host), ("port", database.port.map { "\($0)" }),
    ]
    return [
      "server": ["backend = multiprocessing", "children = 2", "child_selection = round_robin"],
      "caching": ["configurations = 0"], "metadata": ["use_database = true"], "probes": ["use_database = true"],
      "database": place.compactMap { name, value in value.map { "\(name) = \($0)" } },
    ]
  }

  @Test(arguments: TestDatabase.engines)
  func everyChildBuildsFromWhatTheDatabaseHas(_ engine: DatabaseEngine) async throws {
    try await LoopDriver.withLoop { loop in
      let place = try TestDatabase(engine)
      let server = try await ServerFixture(settings: Self.settings(place.settings), on: loop)
      server.folder.write(
        """
        <Groups><Group profile="true" public="true" default="true" name="basic"/>
        <Group name="probed"><Bundle name="probed"/></Group></Groups>

        """, to: "repo/Metadata/groups.xml")
      server.folder.write(
        "<Bundle><BoundAction name='of the probe' command='true'/></Bundle>\n", to: "repo/Bundler/probed.xml")
      try await server.start()
      let parent = try #require(server.process).processID
      func configurations(are isProbed: Bool, _ place: SourceLocation = #_sourceLocation) async throws {
        for _ in 0..<4 {
          let answer = try await server.call("GetConfig")
          #expect(answer.status == 200 && answer.body.contains("of the probe") == isProbed, sourceLocation: place)
        }
      }
      /// Until both children have built: the parent does while they start.
      func childrenHaveBuilt() async throws {
        while true {
          let statistics = try await server.call("get_statistics").body
          if statistics.contains("Child-0:Core:GetConfig"), statistics.contains("Child-1:Core:GetConfig") { return }
          try await configurations(are: false)
        }
      }
      try await childrenHaveBuilt()
      for isProbed in [true, false, true] {
        let data =
          "&lt;probe-data&gt;&lt;probe-data name=\"x\" source=\"Probes\"&gt;\(isProbed ? "group:probed" : "other")\n"
          + "&lt;/probe-data&gt;&lt;/probe-data&gt;"
        let answer = try await server.call("RecvProbeData", "<param><value>\(data)</value></param>")
        #expect(answer.status == 200 && answer.body.contains("<boolean>1</boolean>"), "\(answer.body)")
        try await configurations(are: isProbed)
      }
      // What another program writes is in the next configuration of each child, too.
      let other = try place.open()
      #expect(try other.rows("SELECT \"group\" FROM \"Server_probesgroupsmodel\"") == [["probed"]])
      try other.change("UPDATE \"Server_probesgroupsmodel\" SET \"group\" = 'other', \"id\" = \"id\" + 1")
      try await configurations(are: false)
      for child in Processes.children(of: parent) { kill(child, SIGKILL) }
      try await configurations(are: false)
      #expect(await server.stop() == .exited(0))
    }
  }
}
