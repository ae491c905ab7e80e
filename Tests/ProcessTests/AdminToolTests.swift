import Databases
import EventLoop
import Glibc
import Support
import Testing

/// `bcfg2-admin`'s modes for reports.
@Suite(.serialized) struct AdminToolTests {
  private typealias Site = ReportsToolTests.Site

  @Test func tablesAreMadeOnceAndAreValid() async throws {
    let site = try Site()
    unlink(site.folder.file("reports.sqlite"))
    let missing = try await site.run("bcfg2-admin", ["validatedb"])
    #expect(missing.status == .exited(1) && missing.error.contains("reports.sqlite"), "\(missing)")
    let made = try await site.run("bcfg2-admin", ["-v", "initreports"])
    #expect(made.status == .exited(0) && made.error.contains("tables were made or changed"), "\(made)")
    let again = try await site.run("bcfg2-admin", ["-v", "updatereports"])
    #expect(again.status == .exited(0) && again.error.contains("all tables are there"), "\(again)")
    let valid = try await site.run("bcfg2-admin", ["validatedb"])
    #expect(valid.status == .exited(0) && valid.out == "0 errors found\n", "\(valid)")
  }

  @Test func theFolderOfTheDatabaseIsMade() async throws {
    let site = try Site()
    site.folder.write(
      "[server]\nrepository = \(site.folder.file("repo"))\n[communication]\npassword = x\n", to: "bcfg2.conf")
    #expect(access(site.folder.file("repo/etc"), F_OK) != 0)
    let early = try await site.run("bcfg2-reports", ["clients"])
    #expect(early.status == .exited(1) && early.error.contains("bcfg2-admin initreports"), "\(early)")
    #expect(try await site.run("bcfg2-admin", ["initreports"]).status == .exited(0))
    #expect(try await site.run("bcfg2-reports", ["clients"]).out == "No match found\n")
  }

  /// The C library takes UTC for a zone that it does not have.
  @Test func zonesThatAreNotThereAreRefused() async throws {
    let site = try Site()
    let conf = try site.folder.text("bcfg2.conf")
    for (zone, isThere) in [
      ("Mars/Base", false), ("Europa/Berlin", false), ("CET-1CEST", true), ("UTC", true), ("CET", nil),
    ] {
      site.folder.write("\(conf)[reporting]\ntime_zone = \(zone)\n", to: "bcfg2.conf")
      let result = try await site.run("bcfg2-admin", ["validatedb"])
      let isRefused = result.error.contains("bcfg2.conf:9: [reporting] time_zone: wrong value '\(zone)'")
      // A system without tzdata has no CET.
      #expect(isRefused == !(isThere ?? (access("/usr/share/zoneinfo/CET", R_OK) == 0)), "\(result)")
    }
  }

  @Test func missingTablesAreNamedByWhatMakesThem() async throws {
    let site = try Site()
    let place = DatabaseSettings(engine: .sqlite, name: site.folder.file("reports.sqlite"))
    try Databases.open(place).execute([#"DROP TABLE "Reporting_client""#])
    for (program, mode) in [("bcfg2-reports", "clients"), ("bcfg2-admin", "reportsstats")] {
      let result = try await site.run(program, [mode])
      #expect(result.status == .exited(1) && result.error.contains("which bcfg2-admin initreports makes"), "\(result)")
      #expect(result.error.split(separator: "\n").count == 1)
    }
  }

  @Test func databasesOf13AreBroughtUpToDate() async throws {
    let site = try Site("reporting-old-server-134")
    let old = try await site.run("bcfg2-admin", ["reports", "validate"])
    #expect(old.status == .exited(1) && old.out.contains("Reporting_interaction.dry_run is missing\n"), "\(old)")
    #expect(old.error == "bcfg2-admin updatereports mends them\n")
    #expect(try await site.run("bcfg2-admin", ["reports", "update"]).status == .exited(0))
    #expect(try await site.run("bcfg2-admin", ["reports", "validate"]).out == "0 errors found\n")
    #expect(try await site.run("bcfg2-reports", ["show", "two.example.com"]).out.hasPrefix("Package:p1 "))
  }

  @Test func statisticsAreThoseOfBothVersions() async throws {
    let site = try Site()
    let new = try await site.run("bcfg2-admin", ["reportsstats"])
    #expect(new.out.hasPrefix("Group has 3 records\nBundle has 2 records\n"), "\(new)")
    #expect(new.out.hasSuffix("Client has 3 records\nInteraction has 5 records\nPerformance has 15 records\n"))
    let old = try await site.run("bcfg2-admin", ["reports", "stats"])
    #expect(old.out.hasPrefix("Client has 3 records\nInteraction has 5 records\n"), "\(old)")
  }

  @Test(arguments: [
    (["purgereports"], 1, "Refusing to prune all data. Specify an option to purgereports\n"),
    (["purgereports", "--client", "nobody"], 1, "Client nobody not in database\n"),
    (["purgereports", "--days", "x"], 2, ""), (["purgereports", "--days", "\(Int.max)"], 2, ""),
    (["purgereports", "--expired", "--client", "one.example.com"], 2, ""),
    (
      ["reports", "purge", "--client", "x", "--expired"], 1,
      "--client: not allowed with --expired, which is for all clients\n"
    ),
    (["purgereports", "--expired", "--state", "dirty"], 2, ""), (["purgereports", "--state", "bad"], 2, ""),
    (["reports", "purge"], 1, "Reports.prune: Refusing to prune all data\n"),
    (["reports", "nosuch"], 1, "Unknown command: nosuch\n"), (["help", "nosuch"], 1, ""),
    (["reports", "purge", "--days", "-1"], 1, "Invalid number of days: -1\n"),
    (["reports", "purge", "--dyas", "1"], 1, "Unknown option of reports purge: --dyas\n"), (["nosuch"], 2, ""),
    (["xcmd"], 2, ""),
    ([], 2, ""),
  ])
  func purgesThatAreNotMeant(_ arguments: [String], _ status: Int32, _ text: String) async throws {
    let site = try Site()
    let result = try await site.run("bcfg2-admin", arguments)
    #expect(result.status == .exited(status) && result.out == text, "\(result)")
    #expect(result.out.isEmpty != result.error.isEmpty)
    #expect(try await site.run("bcfg2-admin", ["reportsstats"]).out.contains("Interaction has 5 records"))
  }

  @Test func purgesSayWhatTheyRemoved() async throws {
    let site = try Site()
    let new = try await site.run("bcfg2-admin", ["-v", "purgereports", "--client", "two.example.com"])
    #expect(new.status == .exited(0))
    #expect(
      new.error.contains("Purged 1 Client records") && new.error.contains("Purged 2 Interaction records"), "\(new)")
    let old = try await site.run("bcfg2-admin", ["reports", "purge", "--expired"])
    #expect(old.out.contains("Client removed: 1\nInteraction removed: 1\n"), "\(old)")
    #expect(try await site.run("bcfg2-admin", ["scrubreports"]).status == .exited(0))
    // Bcfg2's own database lacks some indexes, which SQLite lost when Django changed tables.
    #expect(try await site.run("bcfg2-admin", ["updatereports"]).status == .exited(0))
    #expect(try await site.run("bcfg2-admin", ["validatedb"]).out == "0 errors found\n")
  }

  /// The client of the database gets the password by its environment, not by its command line.
  @Test(arguments: ["sqlite3", "postgresql", "mysql"]) func theShellOfTheDatabaseIsStarted(_ engine: String)
    async throws
  {
    let site = try Site()
    let program = ["sqlite3": "sqlite3", "postgresql": "psql", "mysql": "mariadb"][engine] ?? ""
    site.folder.write(
      "#!/bin/sh\necho \"$0 $*\"\nenv | grep -E '^(PG|MYSQL_)' | sort\n", to: "bin/\(program)", mode: 0o755)
    site.folder.write(
      """
      [server]
      repository = \(site.folder.file("repo"))
      plugins = Metadata
      [communication]
      password = x
      [database]
      engine = \(engine)
      name = reports
      user = bcfg2
      password = s3cret
      host = db.example.com
      port = 1234

      """, to: "bcfg2.conf")
    let path = "PATH=\(site.folder.file("bin")):/usr/bin:/bin"
    let admin = String(Project.server.dropLast("bcfg2-server".count)) + "bcfg2-admin"
    let result = try await LoopDriver.withLoop { loop in
      try await ChildProcess.run(
        ["/usr/bin/env", path, admin, "-C", site.folder.file("bcfg2.conf"), "dbshell"], input: [],
        timeout: .seconds(60),
        outputLimitBytes: 1 << 16, on: loop)
    }
    let lines = String(decoding: result.standardOutput, as: UTF8.self).split(separator: "\n").map(String.init)
    let started = try #require(lines.first, "\(result)")
    #expect(started.hasPrefix(site.folder.file("bin/\(program)")))
    #expect(!started.contains("s3cret"))
    switch engine {
    case "sqlite3": #expect(started.hasSuffix("reports"))
    case "mysql":
      #expect(started.hasSuffix("--user=bcfg2 --host=db.example.com --port=1234 --database=reports"))
      #expect(lines.contains("MYSQL_PWD=s3cret"))
    default:
      let expected = [
        "PGDATABASE=reports", "PGHOST=db.example.com", "PGPASSWORD=s3cret", "PGPORT=1234", "PGUSER=bcfg2",
      ]
      #expect(Array(lines.dropFirst()) == expected)
    }
  }

  @Test func djangosModesAreOneLine() async throws {
    let site = try Site()
    for mode in [["shell"], ["makemigrations"], ["schemamigration"], ["reports", "shell"]] {
      let result = try await site.run("bcfg2-admin", mode)
      #expect(
        result.status == .exited(1) && result.out.split(separator: "\n").count == 1 && result.out.contains("Django"))
    }
  }

  @Test func theStatementsMakeTheTables() async throws {
    let site = try Site()
    let result = try await site.run("bcfg2-admin", ["reportssqlall"])
    #expect(result.out.hasPrefix("CREATE TABLE \"") && result.out.contains("CREATE TABLE \"Reporting_interaction\" ("))
    #expect(result.out.split(separator: "\n").allSatisfy { $0.hasSuffix(";") })
  }
}
