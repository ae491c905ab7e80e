import Databases
import EventLoop
import Glibc
import ReportRecords
import ReportStore
import Support
import Testing

/// `bcfg2-report-collector` as init and the server start it.
@Suite(.serialized) struct ReportCollectorTests {
  private static let program = String(Project.server.dropLast("bcfg2-server".count)) + "bcfg2-report-collector"

  /// A repository with a spool, and its bcfg2.conf.
  private struct Site {
    let folder = TemporaryDirectory()

    init(transport: String = "LocalFilesystem", options: String = "", database: String = "reports.sqlite") {
      folder.write("", to: "repo/Reporting/spool/.keep")
      unlink(folder.file("repo/Reporting/spool/.keep"))
      folder.write(
        """
        [server]
        repository = \(folder.file("repo"))
        [communication]
        password = x
        [logging]
        verbose = true
        syslog = false
        [database]
        reporting_engine = sqlite3
        reporting_name = \(folder.file(database))
        [reporting]
        transport = \(transport)
        time_zone = UTC
        \(options)
        """, to: "bcfg2.conf")
    }

    var spool: [String] { folder.names(in: "repo/Reporting/spool").filter { SpoolSegment.Name($0) != nil }.sorted() }

    /// Writes a segment with interactions of these numbers: their time, and a part of their client's name.
    func write(_ numbers: some Collection<Int>, hosts: Int = 50) {
      var bytes = SpoolSegment.start
      for number in numbers { bytes += Site.interaction(number, hosts).record() }
      let name = SpoolSegment.name(microseconds: Int64(numbers.first ?? 0), count: numbers.count)
      write(bytes, to: "spool/" + name)
    }

    static func interaction(_ number: Int, _ hosts: Int) -> Interaction {
      var interaction = Interaction(
        hostname: "host\(number % hosts)", microseconds: 1_700_000_000_000_000 + Int64(number))
      interaction.state = "dirty"
      interaction.revision = "\(number)"
      interaction.groups = ["g\(number % 7)"]
      interaction.items = (0..<3).map { entry in
        ReportedItem(
          state: .bad, tag: "Package",
          attributes: [
            Attribute("name", "p\(entry + number % 5)"), Attribute("version", "2"), Attribute("current_version", "1"),
          ])
      }
      return interaction
    }

    func write(_ bytes: [UInt8], to name: String) {
      folder.write(bytes, to: "repo/Reporting/\(name)")
    }

    /// Rows of the database.
    func rows(_ sql: String) throws -> [[String?]] {
      var place = DatabaseSettings(engine: .sqlite, name: folder.file("reports.sqlite"))
      place.options["timeout"] = "20"
      return try Databases.open(place).rows(sql).map { $0.map(\.asText) }
    }

    func count(_ table: String) throws -> Int {
      Int(try rows("SELECT COUNT(*) FROM \"Reporting_\(table)\"")[0][0] ?? "") ?? -1
    }

    /// Runs the collector to its end.
    func run(_ arguments: String...) async throws -> (status: Int32, log: String) {
      try await LoopDriver.withLoop { loop in
        let result = try await ChildProcess.run(
          command(arguments), input: [], timeout: .seconds(120), outputLimitBytes: 16 << 20, on: loop)
        return (result.status.code, String(decoding: result.standardError, as: UTF8.self))
      }
    }

    func command(_ arguments: [String]) -> [String] {
      [ReportCollectorTests.program, "-C", folder.file("bcfg2.conf")] + arguments
    }

    /// Starts the collector, with its log in a file.
    func start(_ arguments: [String] = [], on loop: Reactor) throws -> ChildProcess {
      var configuration = ChildProcess.Configuration(command(arguments))
      let log = try FileDescriptor.open(folder.file("log"), O_WRONLY | O_CREAT | O_APPEND, mode: 0o600)
      configuration.standardError = .descriptor(log.rawValue)
      configuration.standardInput = .pipe
      return try ChildProcess(configuration, on: loop)
    }

    var log: String { (try? folder.text("log")) ?? "" }
  }

  @Test func whatIsInTheSpoolIsStoredAndRemoved() async throws {
    let site = Site()
    site.write(0..<10)
    site.write(10..<13)
    let result = try await site.run("--once")
    #expect(result.status == 0, "\(result)")
    #expect(site.spool.isEmpty)
    #expect(try site.count("interaction") == 13)
    #expect(result.log.contains("Imported interaction for host0 in 0."))
    #expect(
      try site.rows(#"SELECT "repo_rev_code" FROM "Reporting_interaction" ORDER BY "id""#).map { $0[0] }
        == (0..<13).map { "\($0)" })
    // The same again changes nothing.
    site.write(0..<10)
    #expect(try await site.run("--once").status == 0)
    #expect(site.spool.isEmpty)
    #expect(try site.count("interaction") == 13)
  }

  @Test func aDamagedSegmentLosesOnlyWhatIsDamaged() async throws {
    let site = Site()
    var bytes = SpoolSegment.start + Site.interaction(1, 5).record()
    let place = bytes.count + 20
    bytes += Site.interaction(2, 5).record() + Site.interaction(3, 5).record()
    bytes[place] ^= 1
    site.write(bytes + [1, 0], to: "spool/0000000000000001.open")
    let result = try await site.run("--once")
    #expect(result.status == 1)
    #expect(site.spool.isEmpty)
    #expect(try site.count("interaction") == 2)
    #expect(
      site.folder.names(in: "repo/Reporting/spool/refused").sorted().map { $0.suffix(7) } == ["damaged", ".reason"])
    #expect(result.log.contains("The last 2 bytes of 0000000000000001.open are no whole record"))
  }

  /// Another process writes the database: the collector reads the segment at each attempt.
  @Test func aDamagedSegmentIsToldOfOnceInAnOutage() async throws {
    let site = Site(options: "[database]\nreporting_options = {\"timeout\": \"0\"}")
    #expect(try await site.run("--once").status == 0)
    var bytes = SpoolSegment.start + Site.interaction(1, 5).record()
    bytes[bytes.count - 1] ^= 1
    bytes += Site.interaction(2, 5).record()
    let other = try Databases.open(DatabaseSettings(engine: .sqlite, name: site.folder.file("reports.sqlite")))
    try other.begin()
    site.write(bytes + [1, 0], to: "spool/0000000000000001.open")
    try await LoopDriver.withLoop { loop in
      let collector = try site.start(["-d"], on: loop)
      while site.log.components(of: "still cannot be used") < 1, collector.status == nil { await loop.nextIteration() }
      other.rollBack()
      while !site.spool.isEmpty, collector.status == nil { await loop.nextIteration() }
      collector.kill(SIGTERM)
      #expect(await collector.waitForExit() == .exited(0))
    }
    #expect(try site.count("interaction") == 1)
    #expect(site.log.components(of: "are no whole record") == 1)
    #expect(site.log.components(of: "cannot be stored, and is kept") == 1)
    #expect(site.folder.names(in: "repo/Reporting/spool/refused").count == 2)
  }

  @Test func refusedReportsOfOneTimeAreAllKept() async throws {
    let site = Site()
    site.write(0..<1)
    #expect(try await site.run("--once").status == 0)
    _ = try site.rows(
      """
      CREATE TRIGGER "no" BEFORE INSERT ON "Reporting_interaction" WHEN NEW."repo_rev_code" = 'no'
      BEGIN SELECT RAISE(ABORT, 'no'); END
      """)
    // As from a Python server, where times have seconds.
    let reports = ["a", "b", "a"].map { host in
      var interaction = Interaction(hostname: host, microseconds: 1_700_000_001_000_000)
      interaction.revision = "no"
      return interaction.record()
    }
    site.write(SpoolSegment.start + reports.joined(), to: "spool/0000000000000001.3.records")
    #expect(try await site.run("--once").status == 1)
    #expect(site.spool.isEmpty)
    let kept = site.folder.names(in: "repo/Reporting/spool/refused").filter { SpoolSegment.Name($0) != nil }
    #expect(kept.sorted() == ["1700000001000000.1.records", "1700000001000001.1.records"])
  }

  @Test func aSegmentThatIsWrittenIsLeftAlone() async throws {
    let site = Site()
    site.write(SpoolSegment.start + Site.interaction(1, 5).record(), to: "spool/0000000000000001.open")
    do {
      let file = try FileDescriptor.open(site.folder.file("repo/Reporting/spool/0000000000000001.open"), O_WRONLY)
      let isLocked = FileLock.lockForProcess(file)
      #expect(isLocked)
      #expect(try await site.run("--once").status == 0)
      #expect(site.spool.count == 1)
    }
    #expect(try await site.run("--once").status == 0)
    #expect(site.spool.isEmpty)
    #expect(try site.count("interaction") == 1)
  }

  @Test func picklesOfAPythonServerAreTakenOver() async throws {
    let site = Site()
    let statistics = """
      <Statistics total="2" good="1" version="2.0" revision="r" state="dirty" time="Sun Nov 29 04:13:16 2026">\
      <Bad><Package name="a" version="1" current_version="0"/></Bad></Statistics>
      """
    let pickle =
      "(dp1\nS'hostname'\np2\nS'old.example.com'\np3\nsS'stats'\np4\nS'\(statistics)'\np5\nsS'metadata'\np6\n(dp7\nS'server'\np8\n"
      + "S'srv'\np9\nsS'profile'\np10\nS'web'\np11\nsS'groups'\np12\n(lp13\nS'web'\np14\naS'x'\np15\nass."
    site.write(Array(pickle.utf8), to: "LocalFilesystem/work/old.example.com-1795925596.12")
    site.write(Array("(lp0\n\(pickle.dropLast())a.".utf8), to: "DirectStore/.saved")
    site.write(Array("cos\nsystem\n(S'true'\ntR.".utf8), to: "LocalFilesystem/work/evil-1795925597.0")
    site.write(Array("half".utf8), to: "LocalFilesystem/work/.new-1795925597.0")
    let result = try await site.run("--once")
    #expect(result.status == 1)
    #expect(
      result.log.split(separator: "\n").count { $0.contains("Failed to unpickle payload: ") } == 1, "\(result.log)")
    #expect(
      site.folder.names(in: "repo/Reporting/LocalFilesystem/work").sorted() == [
        ".new-1795925597.0", "evil-1795925597.0",
      ])
    #expect(site.folder.names(in: "repo/Reporting/DirectStore").isEmpty)
    #expect(
      try site.rows(
        #"""
        SELECT c."name", i."timestamp", i."server", i."repo_rev_code", i."bad_count" FROM "Reporting_interaction" i
        JOIN "Reporting_client" c ON c."id" = i."client_id"
        """#) == [["old.example.com", "2026-11-29 04:13:16", "srv", "r", "1"]])
  }

  @Test func directStoreIsTheServersAffair() async throws {
    let site = Site(transport: "DirectStore")
    site.write(0..<1)
    let result = try await site.run()
    #expect(result.status == 1 && result.log.contains("the server runs its own collector"), "\(result)")
    #expect(try await site.run("--once").status == 0)
    #expect(try site.count("interaction") == 1)
    #expect(try await site.run("--nonsense").status == 2)
  }

  @Test func oneProcessReadsASpool() async throws {
    let site = Site()
    try await LoopDriver.withLoop { loop in
      let first = try site.start(on: loop)
      site.write(0..<1)
      while !site.spool.isEmpty { await loop.nextIteration() }
      let second = try await site.run("--once")
      #expect(second.status == 1 && second.log.contains("another bcfg2-report-collector reads"), "\(second)")
      first.kill(SIGTERM)
      #expect(await first.waitForExit() == .exited(0))
    }
  }

  @Test func theServersCollectorEndsWithIt() async throws {
    let site = Site(transport: "DirectStore")
    try await LoopDriver.withLoop { loop in
      let collector = try site.start(["--of-server"], on: loop)
      let input = collector.detachPipe(0)
      site.write(0..<1)
      while !site.spool.isEmpty { await loop.nextIteration() }
      #expect(collector.status == nil)
      input.close()
      #expect(await collector.waitForExit() == .exited(0))
    }
  }

  @Test func oldReportsGoButForTheLatestOfAClient() async throws {
    let site = Site(options: "keep = 30d")
    // 60 days in microseconds.
    let later = 60 * 86400 * 1_000_000
    site.write(0..<16, hosts: 4)
    site.write(later..<later + 4, hosts: 4)
    try await LoopDriver.withLoop { loop in
      let collector = try site.start(on: loop)
      while !site.log.contains("Deleted 16 interactions"), collector.status == nil { await loop.nextIteration() }
      collector.kill(SIGTERM)
      #expect(await collector.waitForExit() == .exited(0))
    }
    #expect(
      try site.rows(
        #"""
        SELECT i."repo_rev_code" FROM "Reporting_client" c
        JOIN "Reporting_interaction" i ON i."id" = c."current_interaction_id" ORDER BY i."id"
        """#
      ).map { $0[0] } == (later..<later + 4).map(String.init))
    #expect(try site.count("interaction") == 4)
  }

  @Test func nothingIsLostOrStoredTwiceWhereverItIsKilled() async throws {
    let site = Site()
    let segments = 40
    let each = 25
    for segment in 0..<segments { site.write(segment * each..<(segment + 1) * each) }
    try await LoopDriver.withLoop { loop in
      var kills = 0
      while !site.spool.isEmpty {
        let collector = try site.start(on: loop)
        // At a moment in one of the first segments that it takes, another one each time.
        let left = site.spool.count
        while site.spool.count > max(0, left - kills % 3), collector.status == nil { await loop.nextIteration() }
        for _ in 0..<(kills * 7 % 20) { await loop.nextIteration() }
        collector.kill(SIGKILL)
        _ = await collector.waitForExit()
        kills += 1
        guard kills < 400 else { break }
        // At times the one that comes next does some more, so that the test ends.
        if kills % 8 == 0 {
          let helper = try site.start(on: loop)
          while site.spool.count > max(0, left - 4), helper.status == nil { await loop.nextIteration() }
          helper.kill(SIGKILL)
          _ = await helper.waitForExit()
        }
      }
      #expect(kills >= 10)
    }
    #expect(site.spool.isEmpty)
    #expect(try site.count("interaction") == segments * each)
    #expect(
      try site.rows(#"SELECT COUNT(DISTINCT "repo_rev_code"), COUNT(*) FROM "Reporting_interaction""#)
        == [["1000", "1000"]])
    // Each has its links, once.
    #expect(try site.count("interaction_packages") == 3 * segments * each)
    #expect(try site.count("interaction_groups") == segments * each)
  }

  /// A backup is restored, or the file is moved away, while the collector runs.
  @Test func reportsGoToTheFileThatTookTheDatabasesPlace() async throws {
    let site = Site()
    try await LoopDriver.withLoop { loop in
      let collector = try site.start(on: loop)
      site.write(0..<1)
      while !site.spool.isEmpty, collector.status == nil { await loop.nextIteration() }
      let file = site.folder.file("reports.sqlite")
      #expect(rename(file, site.folder.file("old.sqlite")) == 0)
      site.write(1..<3)
      while !site.spool.isEmpty, collector.status == nil { await loop.nextIteration() }
      collector.kill(SIGTERM)
      #expect(await collector.waitForExit() == .exited(0))
    }
    #expect(site.log.contains("the file was removed after it was opened"))
    #expect(
      try site.rows(#"SELECT "repo_rev_code" FROM "Reporting_interaction" ORDER BY "id""#).map { $0[0] } == ["1", "2"])
  }

  /// With `-D`: the command returns when it works; the pid file, the log and signals are an init script's.
  @Test func inTheBackgroundItHasAPidFile() async throws {
    let site = Site()
    let (pidFile, log) = (site.folder.file("run/collector.pid"), site.folder.file("collector.log"))
    let started = try await site.run("-D", pidFile, "-o", log)
    #expect(started.status == 0 && started.log.isEmpty, "\(started)")
    let text = try site.folder.text("run/collector.pid").filter { !$0.isWhitespace }
    let pid = try #require(pid_t(text), "\(text)")
    defer { kill(pid, SIGKILL) }
    #expect(kill(pid, 0) == 0)

    let second = try await site.run("-D", pidFile, "-o", log)
    #expect(second.status == 1 && second.log.contains("process \(pid) is running"), "\(second)")
    let third = try await site.run("-D", site.folder.file("run/other.pid"), "-o", site.folder.file("other.log"))
    #expect(third.status == 1 && third.log.contains("another bcfg2-report-collector reads"), "\(third)")
    #expect(site.folder.names(in: "run") == ["collector.pid"])

    try await LoopDriver.withLoop { loop in
      site.write(0..<1)
      while !site.spool.isEmpty, kill(pid, 0) == 0 { await loop.nextIteration() }
      // As logrotate does.
      #expect(rename(log, site.folder.file("collector.log.1")) == 0)
      #expect(kill(pid, SIGHUP) == 0)
      while access(log, F_OK) != 0, kill(pid, 0) == 0 { await loop.nextIteration() }
      site.write(1..<2)
      while !site.spool.isEmpty, kill(pid, 0) == 0 { await loop.nextIteration() }
      #expect(kill(pid, SIGTERM) == 0)
      while access(pidFile, F_OK) == 0, kill(pid, 0) == 0 { await loop.nextIteration() }
    }
    #expect(access(pidFile, F_OK) != 0)
    #expect(try site.folder.text("collector.log.1").contains("bcfg2-report-collector[\(pid)]: Starting daemon"))
    let rotated = try site.folder.text("collector.log")
    #expect(rotated.contains("Imported interaction for host1") && rotated.contains("Shutting down: signal 15"))
    #expect(try site.count("interaction") == 2)
  }

  @Test func whileTheDatabaseIsAwayEverythingWaitsInOrder() async throws {
    let site = Site(database: "away/there/reports.sqlite")
    try await LoopDriver.withLoop { loop in
      let collector = try site.start(on: loop)
      for segment in 0..<10 { site.write(segment * 100..<(segment + 1) * 100) }
      while !site.log.contains("The reporting database cannot be used, reports wait in ") { await loop.nextIteration() }
      #expect(site.spool.count == 10)
      site.folder.write("", to: "away/there/x")
      while !site.spool.isEmpty, collector.status == nil { await loop.nextIteration() }
      while !site.log.contains("The reporting database is back after "), collector.status == nil {
        await loop.nextIteration()
      }
      collector.kill(SIGTERM)
      #expect(await collector.waitForExit() == .exited(0))
    }
    #expect(site.log.components(of: "cannot be used") == 1)
    let place = DatabaseSettings(engine: .sqlite, name: site.folder.file("away/there/reports.sqlite"))
    let rows = try Databases.open(place).rows(#"SELECT "repo_rev_code" FROM "Reporting_interaction" ORDER BY "id""#)
    #expect(rows.map { $0[0].asText } == (0..<1000).map { "\($0)" })
  }
}

extension String {
  /// How often a text is in it.
  fileprivate func components(of text: String) -> Int {
    split(separator: "\n").count { $0.contains(text) }
  }
}
