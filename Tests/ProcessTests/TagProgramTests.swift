import EventLoop
import Glibc
import InstanceTags
import Logging
import Support
import Testing

@testable import Plugins

/// `bcfg2-packages instance-tags` and the plugin's end of it, against a service that checks signatures.
@Suite(.serialized) struct TagProgramTests {
  private static let program = String(Project.server.dropLast("bcfg2-server".count)) + "bcfg2-packages"
  private static let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

  private static func settings(_ service: EC2Program) -> TagMessages.Settings {
    TagMessages.Settings(
      endpoint: "https://localhost:\(service.port)", region: "us-east-1",
      credentials: .given(AWSCredentials(accessKey: "AKIDEXAMPLE", secretKey: secret)), authority: service.authority,
      timeoutMilliseconds: 60_000, parallel: 8, userAgent: "test")
  }

  private func run(
    _ change: (inout TagMessages.Settings, EC2Program) throws -> Void = { _, _ in },
    _ body: (TagProgram, EC2Program, LogRecorder) async throws -> Void
  ) async throws {
    let service = try EC2Program()
    var settings = Self.settings(service)
    try change(&settings, service)
    let log = LogRecorder()
    try await LoopDriver.withLoop { loop in
      let tags = TagProgram(settings, program: Self.program, on: loop, logger: log.logger)
      try await body(tags, service, log)
      tags.close()
    }
  }

  private func failure(_ answer: TagMessages.Answer) -> TagMessages.Failure? {
    if case .failure(let failure) = answer { failure } else { nil }
  }

  /// By hand there is no socket, and libcurl's own would be in its place.
  @Test func startedByHandItSaysSo() async throws {
    try await LoopDriver.withLoop { loop in
      let result = try await ChildProcess.run(
        [Self.program, "instance-tags"], timeout: .seconds(60), outputLimitBytes: 1 << 16, on: loop)
      let error = String(decoding: result.standardError, as: UTF8.self)
      #expect(result.status == .exited(2) && error.contains("bcfg2-server starts instance-tags"), "\(error)")
    }
  }

  @Test func tagsAreAskedForWithASignature() async throws {
    try await run { tags, service, _ async throws in
      try service.instance("one.internal", [("Name", "web 1"), ("role", "<a&b>")])
      #expect(
        await tags.tags(of: "one.internal") == .tags([InstanceTag("Name", "web 1"), InstanceTag("role", "<a&b>")]))
      #expect(await tags.tags(of: "two.internal") == .tags(nil))
      try service.order("pages", "\"count\": 3")
      #expect(await tags.tags(of: "one.internal") != .tags(nil))
      let requests = try service.requests()
      // One connection for all.
      #expect(requests.hosts == ["one.internal", "two.internal"] + Array(repeating: "one.internal", count: 4))
      #expect(requests.connections == 1)
    }
  }

  @Test func nothingOfTheKeysCanBeSeen() async throws {
    try await run { tags, service, _ async throws in
      _ = await tags.tags(of: "one.internal")
      let process = try #require(tags.processID)
      for file in ["cmdline", "environ"] {
        // The process shows its environment to nobody but root.
        let bytes = (try? AtomicFile.readFile("/proc/\(process)/\(file)", limitBytes: 1 << 20)) ?? []
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(!text.contains(Self.secret) && !text.contains("AKIDEXAMPLE"))
      }
      let token = AWSCredentials(
        accessKey: "AKIDEXAMPLE", secretKey: "another secret", sessionToken: "the-session-token")
      try service.order("keys", "\"id\": \"AKIDEXAMPLE\", \"secret\": \"right\", \"token\": \"the-session-token\"")
      var settings = Self.settings(service)
      settings.credentials = .given(token)
      tags.follow(settings, program: Self.program)
      // The service repeats the token.
      let told = failure(await tags.tags(of: "one.internal"))
      #expect(
        told?.description
          == "SignatureDoesNotMatch: The Canonical String should have been x-amz-security-token:***")
      #expect(told?.isOfService == true)
    }
  }

  @Test func manyClientsShareAFewConnections() async throws {
    try await run { settings, _ in
      settings.parallel = 4
    } _: { tags, service, _ async throws in
      let hosts = (0..<60).map { "n\($0).internal" }
      for host in hosts { try service.instance(host, [("Name", host)]) }
      try service.order("gather", "\"count\": 4")
      let asked = hosts.map { host in Task { @MainActor in await tags.tags(of: host) } }
      // The same host asked for again shares the question.
      let again = Task { @MainActor in await tags.tags(of: hosts[0]) }
      for (host, task) in zip(hosts, asked) { #expect(await task.value == .tags([InstanceTag("Name", host)])) }
      #expect(await again.value == .tags([InstanceTag("Name", hosts[0])]))
      let requests = try service.requests()
      #expect(requests.hosts.sorted() == hosts.sorted() && requests.most == 4 && requests.connections <= 4)
    }
  }

  @Test func itAsksAgainWhereThatMayHelp() async throws {
    try await run { tags, service, log async throws in
      try service.instance("one.internal", [("a", "b")])
      let expected = TagMessages.Answer.tags([InstanceTag("a", "b")])
      try service.fail(503, "RequestLimitExceeded", times: 2)
      #expect(await tags.tags(of: "one.internal") == expected)
      try service.fail(500, "", times: 1)
      #expect(await tags.tags(of: "one.internal") == expected)
      #expect(try service.requests().hosts.count == 5)
      // The clock of the service.
      try service.order("clock", "\"ahead\": 7200")
      #expect(await tags.tags(of: "one.internal") == expected)
      #expect(await tags.tags(of: "one.internal") == expected)
      #expect(try service.requests().hosts.count == 3)
      let warnings = log.take()
      #expect(warnings.count == 1 && warnings[0].contains("AWSTags: The clock of this machine differs from EC2's by 7"))
    }
  }

  @Test func errorsAreTold() async throws {
    try await run { settings, _ in
      settings.timeoutMilliseconds = 1500
    } _: { tags, service, _ async throws in
      try service.fail(403, "UnauthorizedOperation", times: 1, message: "You are not authorized")
      #expect(
        failure(await tags.tags(of: "one.internal"))
          == TagMessages.Failure(isOfService: true, "UnauthorizedOperation: You are not authorized"))
      try service.fail(404, "", times: 1)
      #expect(failure(await tags.tags(of: "one.internal"))?.description == "EC2 answered with HTTP status 404")
      try service.fail(503, "RequestLimitExceeded", times: 1000)
      #expect(failure(await tags.tags(of: "one.internal"))?.description == "RequestLimitExceeded: why")
    }
    // An answer that does not come.
    try await run { settings, _ in
      settings.timeoutMilliseconds = 300
    } _: { tags, service, _ async throws in
      try service.order("gather", "\"count\": 2")
      let told = failure(await tags.tags(of: "one.internal"))
      #expect(told?.description == "no answer of localhost:\(service.port) within 0.3 s" && told?.isOfService == true)
      try service.order("gather", "\"count\": 0")
    }
    // A certificate that is not trusted, and nobody there.
    try await run { settings, _ in
      settings.authority = nil
    } _: { tags, _, _ async throws in
      #expect(failure(await tags.tags(of: "one.internal"))?.description.contains("certificate") == true)
    }
    try await run { settings, _ in
      settings.endpoint = "http://127.0.0.1:1"
    } _: { tags, _, _ async throws in
      #expect(failure(await tags.tags(of: "one.internal"))?.isOfService == true)
    }
  }

  @Test func aProcessThatEndsIsReplaced() async throws {
    try await run { tags, service, _ async throws in
      try service.instance("one.internal", [("a", "b")])
      _ = await tags.tags(of: "one.internal")
      let first = try #require(tags.processID)
      try service.order("gather", "\"count\": 2")
      let held = Task { @MainActor in await tags.tags(of: "one.internal") }
      _ = try service.requests()
      while try service.requests().hosts.isEmpty { await Task.yield() }
      kill(first, SIGKILL)
      #expect(failure(await held.value)?.description == "\(Self.program): it ended")
      try service.order("gather", "\"count\": 0")
      #expect(await tags.tags(of: "one.internal") == .tags([InstanceTag("a", "b")]))
      #expect(tags.processID != first)
      tags.follow(Self.settings(service), program: "/nonexistent")
      tags.close()
      #expect(failure(await tags.tags(of: "one.internal"))?.description == "the server stops")
    }
    try await LoopDriver.withLoop { loop in
      let settings = TagMessages.Settings(
        endpoint: "http://127.0.0.1:1", region: "x", credentials: .instance("http://127.0.0.1:1"), authority: nil,
        timeoutMilliseconds: 1, parallel: 1, userAgent: "x")
      let missing = TagProgram(settings, program: "/nonexistent", on: loop, logger: Logger(label: "test"))
      let told = failure(await missing.tags(of: "one.internal"))
      #expect(told?.description.contains("[awstags] program names it") == true)
      // One that is something else.
      let other = TagProgram(settings, program: "/bin/true", on: loop, logger: Logger(label: "test"))
      #expect(failure(await other.tags(of: "one.internal"))?.description == "/bin/true: it ended")
    }
  }

  /// In two networks of an account instances may have the same address, and so the same name.
  @Test func aNameOfSeveralInstancesIsToldOnce() async throws {
    try await run { tags, service, log async throws in
      try service.instance("one.internal", [("a", "b")])
      try service.order("others", "\"count\": 2")
      for _ in 0..<2 { #expect(await tags.tags(of: "one.internal") == .tags([InstanceTag("a", "b")])) }
      #expect(
        log.take() == [
          "warning AWSTags: 3 instances have the private DNS name one.internal; the tags of the first that EC2 names count"
        ])
    }
  }

  /// Nothing else goes on while it is asked.
  @Test func aMetadataServiceThatHangsIsNotAskedForEachQuestion() async throws {
    try await run { settings, service in
      settings.credentials = .instance("http://127.0.0.1:\(service.metadataPort)/")
    } _: { tags, service, _ async throws in
      try service.order("hang", "\"count\": 1")
      let asked = (0..<8).map { number in Task { @MainActor in await tags.tags(of: "n\(number).internal") } }
      for task in asked {
        #expect(
          failure(await task.value)?.description == "the metadata service of this instance gives no keys of a role")
      }
      #expect(try service.requests().hosts == ["metadata"])
      try service.order("hang", "\"count\": 0")
    }
  }

  @Test func theRoleOfAnInstanceHasKeys() async throws {
    try await run { settings, service in
      settings.credentials = .instance("http://127.0.0.1:\(service.metadataPort)/")
    } _: { tags, service, _ async throws in
      try service.instance("one.internal", [("a", "b")])
      #expect(
        failure(await tags.tags(of: "one.internal"))?.description
          == "the metadata service of this instance gives no keys of a role")
      let role = "\"id\": \"ASIA\", \"secret\": \"of the role\", \"token\": \"session\""
      try service.order("keys", role)
      try service.order("role", "\(role), \"end\": \"2099-01-01T00:00:00Z\"")
      for _ in 0..<2 { #expect(await tags.tags(of: "one.internal") == .tags([InstanceTag("a", "b")])) }
      #expect(try service.requests().hosts == ["role", "one.internal", "one.internal"])
      // Others before the time is over.
      try service.fail(400, "ExpiredToken", times: 1)
      #expect(await tags.tags(of: "one.internal") == .tags([InstanceTag("a", "b")]))
      #expect(try service.requests().hosts == ["one.internal", "role", "one.internal"])
    }
  }
}
