import EventLoop
import Glibc
import Support
import Testing

/// `bcfg2-admin` beside a running server: it changes clients.xml, and calls methods.
@Suite(.serialized) struct AdminServerTests {
  private typealias Outcome = (status: ChildProcess.ExitStatus, out: String, error: String)

  @MainActor private func admin(_ arguments: [String], _ server: ServerFixture) async throws -> Outcome {
    let path = String(Project.server.dropLast("bcfg2-server".count)) + "bcfg2-admin"
    let result = try await ChildProcess.run(
      [path, "-C", server.folder.file("bcfg2.conf")] + arguments, timeout: .seconds(60), outputLimitBytes: 1 << 20,
      on: server.loop)
    return (
      result.status, String(decoding: result.standardOutput, as: UTF8.self),
      String(decoding: result.standardError, as: UTF8.self)
    )
  }

  /// The server has the certificate of `localhost`, which `bcfg2-admin` presents as well.
  @Test func aRunningServerSeesNewClientsAndIsCalled() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(on: loop)
      try await server.start()
      let clients = server.folder.file("repo/Metadata/clients.xml")
      let before = String(decoding: try RegularFile.read(clients, limitBytes: 1 << 20), as: UTF8.self)
      server.folder.write(
        before.replacing("</Clients>", with: "  <!-- kept -->\n</Clients>"), to: "repo/Metadata/clients.xml")
      #expect(try await admin(["xcmd", "listMethods"], server).out.contains("Proxy Error: XML-RPC Protocol Error for"))
      let added = try await admin(["client", "add", "localhost", "profile=basic", "floating=true"], server)
      #expect(added.status == .exited(0) && added.out.isEmpty, "\(added)")
      let after = String(decoding: try RegularFile.read(clients, limitBytes: 1 << 20), as: UTF8.self)
      #expect(after.contains("<!-- kept -->") && after.contains("name=\"localhost\""), "\(after)")
      var methods = try await admin(["xcmd", "listMethods"], server)
      // The server reads an edit when the file monitor tells it.
      let deadline = MonotonicTime.now() + .seconds(60)
      while methods.status != .exited(0), MonotonicTime.now() < deadline {
        methods = try await admin(["xcmd", "listMethods"], server)
      }
      #expect(methods.status == .exited(0) && methods.out.contains("'GetConfig'"), "\(methods)")
      let fault = try await admin(["xcmd", "nosuch"], server)
      #expect(fault.status == .exited(1) && fault.out.contains("XML-RPC Fault: Unknown method nosuch"), "\(fault)")
      let times = try await admin(["perf"], server)
      #expect(times.status == .exited(0) && times.out.contains(" Name ") || times.out.contains("\nName "), "\(times)")
      #expect(try await admin(["expirecache", "localhost"], server).status == .exited(0))
      #expect(try await admin(["xcmd", "--json", "get_statistics"], server).out.hasPrefix("{"))
      await wrongServersGetNoPassword(server)
      #expect(await server.stop() == .exited(0))
    }
  }

  @MainActor private func wrongServersGetNoPassword(_ server: ServerFixture) async {
    do {
      let right = try await admin(["xcmd", "--ssl-cns", "other:localhost", "listMethods"], server)
      #expect(right.status == .exited(0), "\(right)")
      let name = try await admin(["xcmd", "--ssl-cns", "other", "listMethods"], server)
      #expect(
        name.status == .exited(1) && name.out.contains("Got unallowed commonName localhost from server"), "\(name)")
      let certificates = TestCertificates()
      let files = certificates.write(certificates.makeIdentity(["stranger"], isAuthority: true), as: "stranger")
      let authority = try await admin(["xcmd", "--ca", files.certificate, "listMethods"], server)
      #expect(authority.status == .exited(1) && authority.out.contains("certificate"), "\(authority)")
    } catch {
      Issue.record(error)
    }
  }

  @Test func wrongCommandLinesAndFailuresHaveTheStatusOf13() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(on: loop)
      for (arguments, text) in [
        (["client"], "No argument specified."), (["client", "nosuch", "x"], "No command specified: nosuch"),
        (["client", "add"], "<hostname> is required in add mode"),
        (["client", "add", "a.example.com", "colour=red"], "Attribute colour unknown. Valid attributes: ['profile',"),
        (["client", "up", "nobody.example.com", "profile=basic"], "Error updating client nobody.example.com:"),
        (["client", "rm", "nobody.example.com"], "Error deleting client nobody.example.com:"),
        (["client", "add", "../evil"], "Error adding client ../evil:"),
        (["minestruct", "one.example.com"], "Failed to find extra entry info for client one.example.com:"),
        (["pull"], "You must specify either --stdin or a hostname"), (["perf"], "Proxy Error:"),
        (["compare", "/nonexistent/a", "/nonexistent/b"], "Failed to read /nonexistent/a"),
      ] {
        let result = try await admin(arguments, server)
        #expect(result.status == .exited(1) && result.out.hasPrefix(text), "\(arguments): \(result)")
      }
    }
  }

  @Test func clientsAreListed() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(on: loop)
      let new = try await admin(["client", "add", "new.example.com"], server)
      #expect(new.status == .exited(0), "\(new)")
      #expect(new.error == "new.example.com has the default profile basic\n", "\(new)")
      let list = try await admin(["client", "list"], server)
      #expect(list.out.split(separator: "\n").contains("new.example.com"), "\(list)")
      let again = try await admin(["client", "add", "NEW.example.com", "profile=basic"], server)
      #expect(again.status == .exited(0) && again.error.contains("is known already"), "\(again)")
      #expect(try await admin(["client", "list", "--json"], server).out.contains("\"name\" : \"new.example.com\""))
      #expect(try await admin(["client", "del", "new.example.com"], server).status == .exited(0))
      #expect(try await !admin(["client", "list"], server).out.contains("new.example.com"))
    }
  }

  /// With the database, names alone are kept.
  @Test func clientsOfTheDatabaseAreChangedThere() async throws {
    try await LoopDriver.withLoop { loop in
      let folder = TemporaryDirectory()
      let server = try await ServerFixture(
        settings: [
          "metadata": ["use_database = true"], "database": ["engine = sqlite3", "name = \(folder.file("db.sqlite"))"],
        ], on: loop)
      let added = try await admin(["client", "add", "db.example.com", "profile=basic"], server)
      #expect(added.status == .exited(0) && added.error.contains("The database keeps no attributes"), "\(added)")
      #expect(try await admin(["client", "list"], server).out == "db.example.com\n")
      let updated = try await admin(["client", "update", "db.example.com", "profile=basic"], server)
      #expect(updated.status == .exited(1) && updated.out.contains("use_database"), "\(updated)")
      #expect(try await admin(["client", "rm", "db.example.com"], server).status == .exited(0))
      #expect(try await admin(["client", "list"], server).out.isEmpty)
    }
  }

  @Test func theRepositoryIsArchivedWithoutEarlierArchives() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(on: loop)
      server.folder.write("old", to: "repo/20200101000000.tar.gz")
      let made = try await admin(["backup"], server)
      let match = try #require(
        made.out.wholeMatch(of: /Archive ([0-9]{14}\.tar\.gz) was stored under (.*)\n/), "\(made)")
      let path = "\(match.2)/\(match.1)"
      var status = stat()
      #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
      let list = try await ChildProcess.run(
        ["/bin/tar", "--list", "--file", path], timeout: .seconds(60), outputLimitBytes: 1 << 20, on: loop)
      let names = String(decoding: list.standardOutput, as: UTF8.self).split(separator: "\n")
      #expect(names.contains("repo/Metadata/clients.xml"), "\(names)")
      #expect(!names.contains { $0.hasSuffix(".gz") || $0.hasSuffix(".part") }, "\(names)")
    }
  }
}
