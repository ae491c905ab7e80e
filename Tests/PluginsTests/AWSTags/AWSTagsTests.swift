import Core
import CoreSupport
import EventLoop
import Glibc
import Identity
import InstanceTags
import OrderedCollections
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Plugins

/// Answers what a test says, and keeps who was asked for.
private final class ScriptedTags: TagSource {
  var answers: [String: TagMessages.Answer] = [:]
  var asked: [String] = []
  /// While set, questions wait.
  var isHeld = false
  private var held: [CheckedContinuation<Void, Never>] = []
  var settings: TagMessages.Settings?

  func tags(of host: String) async -> TagMessages.Answer {
    asked.append(host)
    if isHeld { await withCheckedContinuation { held.append($0) } }
    return answers[host] ?? .tags(nil)
  }

  func release() {
    isHeld = false
    for continuation in held { continuation.resume() }
    held = []
  }

  func takeAsked() -> [String] {
    defer { asked = [] }
    return asked
  }

  func follow(_ settings: TagMessages.Settings, program: String) { self.settings = settings }
  func close() {}
}

@Suite struct AWSTagsTests {
  private static let one = "one.example.com"

  private static let rules = """
    <AWSTags>
      <Tag name="^role$"><Group>has-role</Group></Tag>
      <Tag name="^role$" value="^(.*)-(web|db)$"><Group>env-$1</Group><Group>kind-$2$3</Group></Tag>
      <Tag name="^bcfg2:(.*)"><Group>$1</Group></Tag>
    </AWSTags>
    """

  private static func settings(_ options: (inout Settings) -> Void = { _ in }) -> Settings {
    var settings = RepositoryFixture.settings("AWSTags")
    settings[AWSTagsOptions.standard.accessKey] = "AKID"
    settings[AWSTagsOptions.standard.secretKey] = "secret"
    options(&settings)
    return settings
  }

  private static func tags(_ pairs: (String, String)...) -> TagMessages.Answer {
    .tags(pairs.map { InstanceTag($0.0, $0.1) })
  }

  private func run(
    bundle: String = "", rules: String = AWSTagsTests.rules, settings: Settings = AWSTagsTests.settings(),
    _ body: (RepositoryFixture, ScriptedTags) async throws -> Void
  ) async throws {
    var files = RepositoryFixture.files(bundle: bundle)
    files["AWSTags/config.xml"] = rules
    try await RepositoryFixture.run(files: files, settings: settings, recordsPlugins: true) {
      fixture async throws in
      let source = ScriptedTags()
      try fixture.plugin(AWSTagsPlugin.self).source = source
      try await body(fixture, source)
    }
  }

  private func groups(_ fixture: RepositoryFixture) async throws -> [String] {
    try await fixture.metadata().groups.sorted().filter {
      $0.hasPrefix("env") || $0.hasPrefix("kind") || $0 == "has-role"
    }
  }

  private static let caller = Caller("one.example.com", at: ClientAddress(ip: "127.0.0.1", port: 1))

  /// The configuration as it is sent.
  private func configuration(_ fixture: RepositoryFixture) async throws -> String {
    guard case .escaped(let text) = try await fixture.core.getConfig(Self.caller) else { return "" }
    return String(decoding: text.bytes(), as: UTF8.self)
  }

  // MARK: Groups

  @Test func aFolderThatIsAwayKeepsItsPatterns() async throws {
    var files = RepositoryFixture.files()
    files["AWSTags/config.xml"] = Self.rules
    try await RepositoryFixture.run(files: files, settings: Self.settings(), monitor: .inotify, recordsPlugins: true) {
      fixture async throws in
      fixture.monitor.processPending()
      let source = ScriptedTags()
      try fixture.plugin(AWSTagsPlugin.self).source = source
      source.answers[Self.one] = Self.tags(("role", "prod-web"))
      let before = ["env-prod", "has-role", "kind-web$3"]
      #expect(try await groups(fixture) == before)
      let (place, away) = (fixture.folder.file("repo/AWSTags"), fixture.folder.file("away"))
      #expect(rename(place, away) == 0)
      for _ in 0..<3 {
        fixture.monitor.processPending()
        #expect(try await groups(fixture) == before)
      }
      #expect(rename(away, place) == 0)
      fixture.monitor.processPending()
      #expect(try await groups(fixture) == before)
    }
  }

  @Test func tagsGiveGroupsAndData() async throws {
    try await run { fixture, source async throws in
      source.answers[Self.one] = Self.tags(("Name", "x"), ("role", "prod-web"), ("bcfg2:extra", "y"))
      #expect(try await groups(fixture) == ["env-prod", "has-role", "kind-web$3"])
      let metadata = try await fixture.metadata()
      #expect(metadata.groups.contains("extra"))
      let data = try #require(metadata[connector: "AWSTags"] as? AWSTagsData)
      #expect(data.values.map(\.name) == ["Name", "role", "bcfg2:extra"])
      // Asked for once, however often metadata is made.
      #expect(source.asked == [Self.one])
    }
  }

  @Test func theFirstTagWithTheNameDecides() async throws {
    let rules = """
      <AWSTags><AWSTags><Tag name="role" value="^a$"><Group>env-a</Group></Tag></AWSTags></AWSTags>
      """
    try await run(rules: rules) { fixture, source async throws in
      source.answers[Self.one] = Self.tags(("my-role", "b"), ("role", "a"))
      #expect(try await groups(fixture) == [])
    }
  }

  @Test func noInstanceIsNoGroup() async throws {
    try await run { fixture, source async throws in
      fixture.core.plugins["AWSTags"]?.setDebug(true)
      #expect(try await groups(fixture) == [])
      #expect((try await fixture.metadata()[connector: "AWSTags"] as? AWSTagsData)?.tags == [])
      #expect(fixture.log.lines.contains { $0.contains("No instance found with private-dns-name=\(Self.one)") })
    }
  }

  @Test func aBadPatternCostsItself() async throws {
    let rules = """
      <AWSTags>
        <Tag name="("><Group>env-x</Group></Tag>
        <Tag value="a"><Group>env-y</Group></Tag>
        <Tag name="role" value="(a)|b"><Group>env-$1</Group></Tag>
        <Tag name="role"><Group>has-role</Group></Tag>
      </AWSTags>
      """
    try await run(rules: rules) { fixture, source async throws in
      source.answers[Self.one] = Self.tags(("role", "b"))
      #expect(try await groups(fixture) == ["has-role"])
      let log = fixture.log.lines
      #expect(
        log.contains { $0.contains("config.xml:4: AWSTags: Failed to process pattern role for \(Self.one): group 1") })
      // An edit that does not parse leaves the rules as they are.
      fixture.edit("AWSTags/config.xml", "<AWSTags><Tag")
      #expect(try await groups(fixture) == ["has-role"])
      fixture.edit(
        "AWSTags/config.xml",
        "<AWSTags><Tag name='['><Group>x</Group></Tag><Tag name='role'><Group>env-z</Group></Tag></AWSTags>")
      #expect(try await groups(fixture) == ["env-z"])
      #expect(fixture.log.lines.contains { $0.contains("config.xml:1: AWSTags: Failed to initialize pattern [:") })
    }
  }

  @Test func namesFromTagsAreChecked() async throws {
    let rules = "<AWSTags><Tag name='role' value='(?s)(.*)'><Group>env$1</Group></Tag></AWSTags>"
    var settings = Self.settings()
    settings[AWSTagsOptions.standard.allowedGroups] = ["env[a-z\\n$1-9]*"]
    try await run(rules: rules, settings: settings) { fixture, source async throws in
      for (value, expected) in [
        ("a", ["enva"]), ("A", []), ("a\nb", []), ("\u{200b}", []), (String(repeating: "a", count: 300), []),
        // What a tag brings is no reference.
        ("$1", ["env$1"]),
      ] {
        source.answers[Self.one] = Self.tags(("role", value))
        _ = try await fixture.call("AWSTags.expire_cache")
        #expect(try await groups(fixture) == expected, "\(value)")
      }
      let log = fixture.log.lines
      #expect(log.contains("warning Disallowed group assignment envA from the tags of \(Self.one)"))
      #expect(log.contains { $0.contains("that has a character that cannot be seen, left out") })
      #expect(log.contains { $0.contains("that has more than 255 bytes, left out") })
    }
  }

  // MARK: When EC2 is asked

  private static let bundle = """
    <Group name="env-prod"><BoundAction name="prod"/></Group><Group name="env-test"><BoundAction name="test"/></Group>
    """

  @Test func eachRunAsksOnceAndOnlyAChangeBuilds() async throws {
    try await run(bundle: Self.bundle) { fixture, source async throws in
      source.answers[Self.one] = Self.tags(("role", "prod-web"), ("other", "1"))
      // The first run asks with its first call, and not again with the next ones.
      _ = try await fixture.core.getProbes(Self.caller)
      #expect(try await configuration(fixture).contains("prod"))
      #expect(source.takeAsked() == [Self.one])
      let builds = fixture.core.configurationBuilds
      let counts = fixture.core.partCounts.map(\.counts.made)
      // The next one asks again: nothing has changed, and the kept answer is served.
      #expect(try await configuration(fixture).contains("prod"))
      #expect(source.takeAsked() == [Self.one])
      #expect(fixture.core.configurationBuilds == builds && fixture.core.partCounts.map(\.counts.made) == counts)
      // A tag that no rule names: the configuration is composed again, of the parts that there are.
      source.answers[Self.one] = Self.tags(("role", "prod-web"), ("other", "2"))
      @MainActor func partsMade() -> Int {
        fixture.core.partCounts.filter { $0.kind != "metadata" }.reduce(0) { $0 + $1.counts.made }
      }
      let parts = partsMade()
      #expect(try await configuration(fixture).contains("prod"))
      #expect(fixture.core.configurationBuilds == builds + 1 && partsMade() == parts)
      source.answers[Self.one] = Self.tags(("role", "test-web"))
      let text = try await configuration(fixture)
      #expect(text.contains("test") && !text.contains("prod"))
      #expect(fixture.core.configurationBuilds == builds + 2)
    }
  }

  @Test func withoutCacheEachCallAsks() async throws {
    var settings = Self.settings()
    settings[AWSTagsOptions.standard.keepsTags] = false
    try await run(bundle: Self.bundle, settings: settings) { fixture, source async throws in
      source.answers[Self.one] = Self.tags(("role", "prod-web"))
      _ = try await configuration(fixture)
      #expect(source.takeAsked().count == 1)
      _ = try await fixture.metadata()
      _ = try await fixture.metadata()
      #expect(source.takeAsked().count == 2)
      // What another call learnt is in the next configuration.
      source.answers[Self.one] = Self.tags(("role", "test-web"))
      _ = try await fixture.metadata()
      #expect(try await configuration(fixture).contains("test"))
    }
  }

  @Test func anExpiryIsOfOneClientOrOfAll() async throws {
    try await run { fixture, source async throws in
      source.answers[Self.one] = Self.tags(("role", "a-web"))
      #expect(try await groups(fixture) == ["env-a", "has-role", "kind-web$3"])
      source.answers[Self.one] = Self.tags(("role", "b-web"))
      #expect(try await groups(fixture).first == "env-a")
      _ = try await fixture.call("AWSTags.expire_cache", [.string("two.example.com")])
      #expect(try await groups(fixture).first == "env-a")
      _ = try await fixture.call("AWSTags.expire_cache", [.string(Self.one)])
      #expect(try await groups(fixture).first == "env-b")
      source.answers[Self.one] = Self.tags(("role", "c-web"))
      _ = try await fixture.call("AWSTags.expire_cache")
      #expect(try await groups(fixture).first == "env-c")
      await #expect(throws: (any Error).self) { try await fixture.call("AWSTags.expire_cache", [.int(1)]) }
      await #expect(throws: (any Error).self) { try await fixture.call("AWSTags.expire_cache", [.nil, .nil]) }
    }
  }

  @Test func whatClientsHadGoesOnWhileEC2IsAway() async throws {
    try await run(bundle: Self.bundle) { fixture, source async throws in
      source.answers[Self.one] = Self.tags(("role", "prod-web"))
      #expect(try await configuration(fixture).contains("prod"))
      let failure = TagMessages.Answer.failure(.init(isOfService: true, "AuthFailure: no"))
      source.answers = [Self.one: failure, "two.example.com": failure]
      for _ in 0..<3 { #expect(try await configuration(fixture).contains("prod")) }
      // One that was never known would lose its groups.
      let error = await #expect(throws: PluginExecutionError.self) { try await fixture.metadata("two.example.com") }
      #expect(error?.description == "AWSTags: The tags of two.example.com are not known: AuthFailure: no")
      // One warning, and one question in ten seconds.
      let warnings = fixture.log.lines.filter { $0.contains("EC2 cannot be asked: AuthFailure: no. Clients keep") }
      #expect(warnings.count == 1)
      #expect(source.takeAsked() == [Self.one, Self.one])
      source.answers[Self.one] = Self.tags(("role", "test-web"))
      _ = try await fixture.call("AWSTags.expire_cache")
      #expect(try await configuration(fixture).contains("test"))
    }
  }

  @Test func aQuestionKeepsNobodyElseWaiting() async throws {
    try await run(bundle: Self.bundle) { fixture, source async throws in
      source.answers[Self.one] = Self.tags(("role", "prod-web"))
      source.isHeld = true
      let first = Task { @MainActor in try await fixture.metadata() }
      #expect(await fixture.wait { source.asked == [Self.one] })
      // The loop goes on: another client is answered meanwhile.
      source.isHeld = false
      _ = try await fixture.metadata("two.example.com")
      source.release()
      #expect(try await first.value.groups.contains("env-prod"))
    }
  }

  // MARK: Settings

  @Test func keysAreNeeded() async throws {
    for (options, problem) in [
      (
        { (settings: inout Settings) in settings[AWSTagsOptions.standard.accessKey] = nil }, "No option 'access_key_id'"
      ),
      ({ $0[AWSTagsOptions.standard.secretKey] = nil }, "No option 'secret_access_key' in section: 'awstags'"),
      ({ $0[AWSTagsOptions.standard.region] = "a b" }, "[awstags] region = a b is no region"),
      ({ $0[AWSTagsOptions.standard.endpoint] = "ec2" }, "[awstags] endpoint = ec2 is no URL"),
    ] {
      let error = #expect(throws: AWSTagsSettingsError.self) {
        try Self.settings(options).instanceTags(userAgent: "x")
      }
      #expect(error?.description.contains(problem) == true)
    }
    let made = try Self.settings { $0[AWSTagsOptions.standard.region] = "eu-west-1" }.instanceTags(userAgent: "x")
    #expect(made.endpoint == "https://ec2.eu-west-1.amazonaws.com/" && made.timeoutMilliseconds == 10_000)
    #expect(made.credentials == .given(AWSCredentials(accessKey: "AKID", secretKey: "secret")))
    // The environment counts where it was asked for, and then alone.
    #expect(throws: AWSTagsSettingsError.self) {
      try Self.settings { $0[AWSTagsOptions.standard.credentials] = .environment }.instanceTags(userAgent: "x")
    }
    let role = try Self.settings { $0[AWSTagsOptions.standard.credentials] = .instance }.instanceTags(userAgent: "x")
    #expect(role.credentials == .instance("http://169.254.169.254/"))
  }

  @Test func newSettingsAreFollowed() async throws {
    try await run { fixture, source async throws in
      var settings = fixture.core.settings
      settings[AWSTagsOptions.standard.region] = "eu-west-1"
      fixture.core.settingsChanged(settings)
      #expect(source.settings?.region == "eu-west-1")
      settings[AWSTagsOptions.standard.region] = "?"
      fixture.core.settingsChanged(settings)
      #expect(source.settings?.region == "eu-west-1")
      #expect(fixture.log.lines.contains { $0.hasPrefix("error AWSTags: EC2 is asked as before: [awstags] region") })
    }
  }
}
