public import Core
import EventLoop
public import Formats
import Identity
import Logging
import ServerSettings
public import Templates

/// Runs external node classifiers of Puppet, which print groups of a client and data for templates.
///
/// Each program in PuppetENC is run with the client's name. `classes`, or else `groups`, of its YAML are groups;
/// `parameters`, and parameters of classes, are data.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/PuppetENC.py.
final class PuppetENCPlugin: Plugin, Connector, ClientRunHooks, Caching {
  override class var name: String { "PuppetENC" }

  /// The longest run of a program: longer than clients wait for an answer.
  private static let timeout: Duration = .seconds(120)
  private static let outputLimitBytes = 16 << 20

  private let scripts: ScriptFolder
  private var cache: [ClientName: Answer] = [:]

  private struct Answer {
    var groups: [String] = []
    var parameters: [JSONValue.Member] = []

    /// Adds parameters; later ones replace earlier ones of the same name.
    mutating func add(_ value: JSONValue?) throws {
      guard let value, value.isTruthy else { return }
      guard case .object(let new) = value else { throw PluginExecutionError("parameters are no mapping") }
      parameters.removeAll { old in new.contains { $0.name == old.name } }
      parameters += new
    }
  }

  var stages: Set<ClientRunStage> { [.end, .statistics] }

  required init(_ context: PluginContext) {
    scripts = ScriptFolder(context.folder, monitor: context.core.fileMonitor)
    super.init(context)
  }

  func additionalGroups(_ metadata: ClientMetadata) async throws -> [AdditionalGroup] {
    try await answer(for: metadata).groups.map { .named($0) }
  }

  func additionalData(_ metadata: ClientMetadata) async throws -> (any ConnectorData)? {
    PuppetENCData(parameters: try await answer(for: metadata).parameters)
  }

  private func answer(for metadata: ClientMetadata) async throws -> Answer {
    // The programs may print something else the next time.
    if !scripts.scripts.isEmpty { metadata.markUncacheable() }
    if let known = cache[metadata.hostname] { return known }
    var answer = Answer()
    for script in scripts.scripts {
      let yaml = try await run(script, metadata.hostname)
      try add(yaml, of: script, metadata.hostname, &answer)
    }
    cache[metadata.hostname] = answer
    return answer
  }

  /// - Throws: `PluginExecutionError` where the program fails or prints no YAML.
  private func run(_ script: String, _ client: ClientName) async throws -> JSONValue {
    debugLog("PuppetENC: Running ENC \(script) for \(client)")
    let output: ChildProcess.Output
    do {
      output = try await ChildProcess.run(
        [scripts.path(of: script), client.text], timeout: Self.timeout, outputLimitBytes: Self.outputLimitBytes,
        on: core.loop)
    } catch {
      throw failure("PuppetENC: Error running ENC \(script) for \(client): \(error)")
    }
    if let error = output.failure {
      guard core.settings.compatibility == .v1_3 else {
        throw failure("PuppetENC: Error running ENC \(script) for \(client): \(error)")
      }
      throw failure(
        "PuppetENC: Error running ENC \(script) for \(client) (\(output.status.code)): \(output.errorText)")
    }
    if !output.standardError.isEmpty { debugLog("ENC Error: \(output.errorText)") }
    guard let text = String(validating: output.standardOutput, as: UTF8.self) else {
      throw failure("Error decoding YAML from \(script) for \(client): it is not UTF-8")
    }
    do throws(YAMLError) {
      return try JSONValue(yaml: text)
    } catch {
      throw failure("Error decoding YAML from \(script) for \(client): \(error)")
    }
  }

  private func failure(_ message: String) -> PluginExecutionError {
    logger.error("\(message)")
    return PluginExecutionError(message)
  }

  private func add(_ yaml: JSONValue, of script: String, _ client: ClientName, _ answer: inout Answer) throws {
    guard case .object(let members) = yaml else {
      throw PluginExecutionError("'\(yaml.pythonTypeName)' object has no attribute 'get'")
    }
    switch yaml["classes"] ?? yaml["groups"] {
    case .array(let groups):
      for group in groups {
        guard let name = group.nameText else {
          throw PluginExecutionError("unhashable type: '\(group.pythonTypeName)'")
        }
        answer.groups.append(name)
      }
    case .object(let classes):
      for group in classes {
        answer.groups.append(group.name)
        try answer.add(group.value)
      }
    case let other?:
      if other.isTruthy {
        throw PluginExecutionError("'\(other.pythonTypeName)' object has no attribute 'keys'")
      }
    case nil: break
    }
    try answer.add(yaml["parameters"])
    if members.contains(where: { $0.name == "environment" }) {
      logger.info("Ignoring unsupported environment section of ENC \(script) for \(client)")
    }
  }

  /// Forgets the answers about all clients, because templates of this client may have asked about others.
  func endClientRun(_ metadata: ClientMetadata) {
    cache.removeAll()
    if core.metadataCacheMode == .aggressive {
      logger.warning(
        "PuppetENC is incompatible with aggressive client metadata caching, try 'cautious' or 'initial' instead")
      core.expireMetadataCache()
    }
  }

  func endStatistics(_ metadata: ClientMetadata) { endClientRun(metadata) }

  func expireCache(key: ClientName?) {
    if let key { cache[key] = nil } else { cache.removeAll() }
  }
}

/// `metadata.PuppetENC`: parameters by name.
public struct PuppetENCData: ConnectorData {
  public let parameters: [JSONValue.Member]
}

extension PuppetENCData: TemplateReadable {
  public var templateForm: TemplateValue {
    ["form": "value", "value": JSONValue.object(parameters).templateValue]
  }
}
