import Core
import EventLoop
import Formats
import Identity
import InstanceTags
import Logging
import Repository
import ServerSettings
import XMLRPC

/// AWSTags: asks EC2 for the tags of a client's instance, puts the client in groups by them, and gives them to templates.
///
/// A client's tags are asked for when its metadata is made for the first time, and then when it asks for its configuration.
/// Tags that are the same change nothing; others have what was made from them made anew. While EC2 cannot be asked a client
/// keeps the tags that it had; a client whose tags were never known gets no metadata, since groups would be missing.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/AWSTags.py.
final class AWSTagsPlugin: Plugin, Connector, Fetching, Replicated {
  override class var name: String { "AWSTags" }
  override class var options: any OptionGroup { AWSTagsOptions.standard }

  /// Tags that no configuration was made from yet count as those of the present run for so long.
  private static let unusedTime = Duration.seconds(60)
  /// How long after EC2 could not be asked the next question is sent.
  private static let outageTime = Duration.seconds(10)
  /// Most groups of a client.
  private static let groupLimit = 1000
  private static let groupBytes = 255
  /// Bytes of the tags that are kept of all clients.
  private static let limitBytes = 64 << 20

  private final class Known {
    var data: AWSTagsData
    var asked: MonotonicTime
    /// Whether no configuration was made since they were asked for.
    var isUnused = true
    var isExpired = false
    /// The groups, and the version of the rules that they were made with.
    var groups: (version: Int, names: [String])?

    init(_ tags: [InstanceTag], asked: MonotonicTime) {
      data = AWSTagsData(tags)
      self.asked = asked
    }

    var bytes: Int { data.tags.reduce(512) { $0 + $1.name.utf8.count + $1.value.utf8.count + 64 } }
  }

  private let file: AWSTagsFile
  /// Who is asked; set when the plugin is loaded.
  var source: (any TagSource)?
  private var known: [ClientName: Known] = [:]
  private var knownBytes = 0
  /// nil allows every group.
  private var allowedGroups: [PythonRegex]?
  private var allowanceVersion = 0
  /// Until when EC2 is not asked, and why.
  private var outage: (end: MonotonicTime, failure: TagMessages.Failure)?

  required init(_ context: PluginContext) {
    file = AWSTagsFile(
      path: context.folder + "/config.xml", monitor: context.core.fileMonitor, logger: context.logger,
      creatingTopTag: Self.name)
    super.init(context)
  }

  override func load() throws {
    do throws(AWSTagsSettingsError) {
      source = TagProgram(
        try core.settings.instanceTags(userAgent: Self.userAgent), program: program,
        on: core.loop, logger: logger)
    } catch {
      throw PluginInitError("\(error)")
    }
    try readAllowedGroups()
    file.onChange = { [unowned core] in
      if core.metadataCacheMode == .cautious || core.metadataCacheMode == .aggressive { core.expireMetadataCache() }
    }
    file.watch()
  }

  private static let userAgent = "bcfg2-server"

  private var program: String {
    core.settings[AWSTagsOptions.standard.program] ?? ProgramBeside.path("bcfg2-packages")
  }

  override func settingsChanged() {
    do throws(AWSTagsSettingsError) {
      source?.follow(
        try core.settings.instanceTags(userAgent: Self.userAgent), program: program)
      outage = nil
    } catch {
      logger.error("AWSTags: EC2 is asked as before: \(error)")
    }
    do {
      try readAllowedGroups()
    } catch {
      logger.error("\(core.settings.origin(of: AWSTagsOptions.standard.allowedGroups)): \(error)")
    }
  }

  override func shutdown() {
    source?.close()
    super.shutdown()
  }

  // MARK: Groups and data

  func additionalGroups(_ metadata: ClientMetadata) async throws -> [AdditionalGroup] {
    groups(try await tags(of: metadata.hostname), metadata.hostname).map { .named($0) }
  }

  func additionalData(_ metadata: ClientMetadata) async throws -> (any ConnectorData)? {
    // Groups were asked for just before.
    if let known = known[metadata.hostname] { return known.data }
    return try await tags(of: metadata.hostname).data
  }

  private func groups(_ known: Known, _ client: ClientName) -> [String] {
    let version = file.version &+ allowanceVersion
    if let made = known.groups, made.version == version { return made.names }
    var names: [String] = []
    for group in file.groups(of: known.data.tags, client: client.text) where !names.contains(group) {
      guard names.count < Self.groupLimit else {
        logger.warning("AWSTags: \(client) has tags for more than \(Self.groupLimit) groups, the rest is left out")
        break
      }
      if let problem = Self.problem(group) {
        logger.warning("AWSTags: The tags of \(client) make the name of a group that \(problem), left out")
      } else if allowedGroups?.contains(where: { $0.matches(group) }) ?? true {
        names.append(group)
      } else {
        logger.warning("Disallowed group assignment \(group) from the tags of \(client)")
      }
    }
    known.groups = (version, names)
    return names
  }

  /// What keeps a text, which anybody may have written who can tag instances, from being a group's name.
  private static func problem(_ group: String) -> String? {
    if group.isEmpty { return "is empty" }
    if group.utf8.count > groupBytes { return "has more than \(groupBytes) bytes" }
    if group.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F || ($0 != " " && $0.isInvisible) }) {
      return "has a character that cannot be seen"
    }
    return nil
  }

  private func readAllowedGroups() throws {
    let option = AWSTagsOptions.standard.allowedGroups
    let patterns = core.settings[option]
    let source = RegexSource(place: "\(core.settings.origin(of: option))", logger: logger)
    allowedGroups =
      patterns == [".*"] ? nil : try patterns.map { try PythonRegex($0, finds: .wholeText, in: source) }
    allowanceVersion &+= 1 << 32
  }

  // MARK: Tags

  /// Whether a client's configuration waits for the answer to a question: a child has its parent's answers.
  var isFetching: Bool { !core.isChild }
  var concernsKeptAnswers: Bool { !core.isChild }

  private var keepsTags: Bool { core.settings[AWSTagsOptions.standard.keepsTags] }

  /// Asks for the tags of a client whose configuration is to be made, unless they belong to this run.
  func waitForData(of client: ClientName) async {
    let client = core.metadata.canonicalName(client)
    if let known = known[client], isOfThisRun(known) {
      known.isUnused = false
      return
    }
    _ = await ask(client)
    // Without a cache the metadata that is made next uses them up.
    known[client]?.isUnused = !keepsTags
  }

  private func isOfThisRun(_ known: Known) -> Bool {
    !known.isExpired && known.isUnused && core.loop.now - known.asked < Self.unusedTime
  }

  /// - Throws: `PluginExecutionError` where EC2 cannot be asked, and nothing is known of the client.
  private func tags(of client: ClientName) async throws -> Known {
    if let known = known[client] {
      if core.isChild { return known }
      if keepsTags, !known.isExpired { return known }
      if isOfThisRun(known) {
        known.isUnused = false
        return known
      }
    }
    let failure = await ask(client)
    if let known = known[client] {
      if !keepsTags { known.isUnused = false }
      return known
    }
    throw PluginExecutionError(
      "AWSTags: The tags of \(client) are not known: \(failure?.description ?? "EC2 was not asked")")
  }

  /// Asks EC2, and keeps what it says.
  private func ask(_ client: ClientName) async -> TagMessages.Failure? {
    if let outage, core.loop.now < outage.end { return outage.failure }
    debugLog("AWSTags: Getting tags for \(client) from AWS")
    guard let answer = await source?.tags(of: client.text) else { return nil }
    switch answer {
    case .tags(let tags):
      if tags == nil { debugLog("AWSTags: No instance found with private-dns-name=\(client)") }
      if outage != nil { logger.notice("AWSTags: EC2 answers again") }
      outage = nil
      keep(tags ?? [], of: client)
      return nil
    case .failure(let failure):
      guard failure.isOfService else {
        logger.error("AWSTags: Getting tags for \(client) failed: \(failure)")
        return failure
      }
      if outage == nil {
        logger.warning(
          "AWSTags: EC2 cannot be asked: \(failure). Clients keep the tags that they had; those without get no configuration"
        )
      }
      outage = (core.loop.now + Self.outageTime, failure)
      return failure
    }
  }

  private func keep(_ tags: [InstanceTag], of client: ClientName) {
    let now = core.loop.now
    if let old = known[client], old.data.tags == tags {
      old.asked = now
      old.isUnused = true
      old.isExpired = false
      return
    }
    let isFirst = known[client] == nil
    insert(Known(tags, asked: now), for: client)
    guard !core.isChild else { return }
    core.replicate(TagMessages.frame(.tags(tags), to: 0), of: client, for: self)
    if !isFirst { core.clientChanged(client) }
  }

  private func insert(_ new: Known, for client: ClientName) {
    knownBytes += new.bytes - (known[client]?.bytes ?? 0)
    known[client] = new
    while knownBytes > Self.limitBytes, let other = known.keys.first(where: { $0 != client }) {
      knownBytes -= known.removeValue(forKey: other)?.bytes ?? 0
      // Its tags may be others when they are asked for again, with nothing to compare them with.
      core.clientChanged(other)
    }
  }

  // MARK: Children

  /// Takes what the parent was told.
  func applyReplica(_ data: [UInt8], of client: ClientName) throws {
    let payload = data.dropFirst(FrameHeader.byteCount)
    guard case .tags(let tags) = try TagMessages.answer(TagMessages.Kind.tags, payload) else { return }
    keep(tags ?? [], of: client)
  }

  /// Nothing is on disk.
  func reloadReplicas() {}

  // MARK: Calls

  override var rmi: [String: RemoteMethod] {
    var methods = super.rmi
    methods["expire_cache"] = RemoteMethod { [unowned self] arguments in
      guard arguments.count <= 1 else {
        throw ParameterError("expire_cache() takes at most 2 arguments (\(arguments.count + 1) given)")
      }
      switch arguments.first ?? .nil {
      case .nil: expire(nil)
      case .string(let text): expire(try ClientName(recorded: text))
      default: throw ParameterError("expire_cache() takes the name of a client")
      }
      return .nil
    }
    return methods
  }

  /// Has the tags of a client, or of all, asked for with the next call. Until they are there the old ones do.
  private func expire(_ client: ClientName?) {
    // Known as one until EC2 answers, so that the log has its end.
    outage?.end = core.loop.now
    if let client {
      let client = core.metadata.canonicalName(client)
      known[client]?.isExpired = true
      core.clientChanged(client)
    } else {
      for entry in known.values { entry.isExpired = true }
      core.clientsChanged()
    }
  }
}
