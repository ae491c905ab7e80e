import Identity
import Templates
import XMLRPC

/// A template that is being rendered, and the tasks that wait for it.
final class PendingRendering {
  let request: TemplateRenderer.Request
  /// The version that is tried.
  var version = TemplateSource.Version(number: 0, bytes: [])
  var variables: [TemplateJob.Provider] = []
  /// Whether a configuration with the result is not to be kept.
  var isUncacheable = false
  private var result: Result<AnyObject, any Error>?
  private var waiters: [CheckedContinuation<Void, Never>] = []

  init(_ request: TemplateRenderer.Request) { self.request = request }

  var job: TemplateJob {
    var job = TemplateJob(
      kind: request.kind, path: request.source.path, version: version, name: request.entryName,
      limitBytes: request.limitBytes)
    job.isEncrypted = request.isEncrypted
    job.variables = variables
    job.isProven = request.source.isProven(version.number)
    return job
  }

  var key: RenderingCache.Key {
    RenderingCache.Key(
      kind: request.kind, path: .text(request.source.path), version: version.number,
      name: request.entryName.map { .text($0) } ?? .none, variables: variables, limitBytes: request.limitBytes)
  }

  func finish(_ outcome: Result<AnyObject, any Error>) {
    guard result == nil else { return }
    result = outcome
    let waiting = waiters
    waiters = []
    for waiter in waiting { waiter.resume() }
  }

  /// Waits for the result, for a configuration that is built with this metadata.
  ///
  /// - Throws: why there is none.
  func value(_ metadata: ClientMetadata) async throws -> AnyObject {
    if result == nil { await withCheckedContinuation { waiters.append($0) } }
    return try finishedValue(metadata)
  }

  var isFinished: Bool { result != nil }

  /// As `value`, of one that is finished.
  func finishedValue(_ metadata: ClientMetadata) throws -> AnyObject {
    if isUncacheable { metadata.markUncacheable() }
    return try result!.get()
  }
}

/// Templates that are rendered ahead for one configuration.
final class RenderedAhead {
  private struct Key: Hashable {
    let source: ObjectIdentifier
    let name: String?
  }

  private var pending: [Key: PendingRendering] = [:]

  /// Adds one; it replaces an earlier one of the same template and entry.
  func add(_ one: PendingRendering) { pending[Self.key(one.request)] = one }

  /// Removes one: a template that is bound once more is rendered once more.
  func remove(_ request: TemplateRenderer.Request) -> PendingRendering? {
    pending.removeValue(forKey: Self.key(request))
  }

  /// The same, where it is finished: else it stays.
  func removeFinished(_ source: TemplateSource, entryName: String?) -> Finished {
    let key = Key(source: ObjectIdentifier(source), name: entryName)
    guard let index = pending.index(forKey: key) else { return .none }
    guard pending.values[index].isFinished else { return .waiting }
    return .finished(pending.remove(at: index).value)
  }

  /// What there is of a template without waiting.
  enum Finished {
    case finished(PendingRendering)
    /// It is being rendered.
    case waiting
    /// It was not begun, or taken already.
    case none
  }

  private static func key(_ request: TemplateRenderer.Request) -> Key {
    Key(source: ObjectIdentifier(request.source), name: request.entryName)
  }
}

extension ClientMetadata {
  /// What a renderer has to know of the client at once; the rest is asked for.
  var templateForm: TemplateValue {
    let (hostname, profile, groups, bundles) = (facts.hostname, facts.profile, facts.groups, facts.bundles)
    let (aliases, addresses, categories) = (facts.aliases, facts.addresses, facts.categories)
    let (uuid, version, connectors) = (facts.uuid, facts.version, facts.connectors)
    func optional(_ text: String?) -> TemplateValue { text.map { .text($0) } ?? .none }
    return [
      "hostname": .text(hostname.text), "profile": optional(profile), "groups": .texts(groups.sorted()),
      "bundles": .texts(TemplateRenderer.inOrder(bundles.map(\.text))),
      "aliases": .texts(TemplateRenderer.inOrder(aliases.map(\.text))),
      "addresses": .texts(addresses.sorted()),
      "categories": .record(categories.sorted().map { .init($0.key, .text($0.value)) }),
      "uuid": optional(uuid), "version": optional(version), "connectors": .texts(connectors),
    ]
  }
}
