import Core
import EventLoop
import Identity
import Logging
import Repository
import ServerSettings
import Templates
import XMLRPC

// Asks queries in processes of their own: again after a while where no LDAP server answers.
extension LdapPlugin {
  /// What queries gave for a client.
  struct Told {
    /// Names of those that apply.
    var names = NameSet()
    var results: NameTable<LdapResult> = [:]
    /// Whether there may be names of others: the process was ended.
    var isPartial = false
    /// Whether one of 1.3's queries failed, so that nothing is told.
    var isFailed = false
    /// Why nothing can be told.
    var problem: String?
  }

  /// A request that is underway: others for the same wait for it.
  struct Request: Hashable {
    let client: ClientName
    let serial: UInt64
    let wanted: NameSet
    let expirations: Int
    /// Whose answers they are, where they are kept for one configuration.
    let owner: ObjectIdentifier?
  }

  /// Asks which queries apply to a client, and what some of them give; with 1.3's module what all give. Keeps the answers,
  /// unless they were expired meanwhile.
  func ask(_ wanted: NameSet, _ metadata: ClientMetadata, _ data: LdapData) async -> Told {
    let (client, serial) = (metadata.facts.hostname, core.templates.serial(of: metadata))
    let request = Request(
      client: client, serial: serial, wanted: wanted, expirations: expirations,
      owner: data.own.map { ObjectIdentifier($0) })
    if let known = underway[request] { return await known.value }
    let task = Task { await fetch(wanted, metadata) }
    underway[request] = task
    let told = await task.value
    underway[request] = nil
    guard told.problem == nil, request.expirations == expirations else { return told }
    let answers = data.own ?? self.answers(of: client) ?? LdapAnswers()
    if keep(told, serial, in: answers) {
      querySerial += 1
      core.clientChanged(client)
    }
    if data.own == nil { table.insert(answers, for: client, bytes: answers.sizeBytes) }
    return told
  }

  /// Returns whether something differs from what was known.
  private func keep(_ told: Told, _ serial: UInt64, in answers: LdapAnswers) -> Bool {
    var differs = answers.names.map { $0.serial == serial && $0.list != told.names && !told.isPartial } ?? false
    answers.isFailed = told.isFailed
    if told.isPartial {
      answers.names = answers.names.flatMap { known in
        known.serial == serial ? (list: known.list.union(told.names), serial: serial) : nil
      }
    } else {
      for name in answers.results.keys where !told.names.contains(name) { answers.results.removeValue(forKey: name) }
      answers.names = (list: told.names, serial: serial)
    }
    for (name, result) in told.results {
      differs = differs || (answers.results[name].map { $0 != result } ?? false)
      answers.results[name] = result
    }
    return differs
  }

  private func fetch(_ wanted: NameSet, _ metadata: ClientMetadata) async -> Told {
    var told = Told()
    var left = wanted.sorted()
    let retries = core.settings[Self.ldap.retries]
    let delay = core.settings[Self.ldap.retryDelay]
    for attempt in 0...retries {
      let outcome = await core.templates.ask(
        configuration.source,
        [.init("wanted", .texts(left)), .init("is_last", .bool(attempt == retries))], metadata, logger: logger)
      switch outcome {
      case .unusable(let reason):
        told.problem = "Ldap: config.py cannot be used: \(reason)"
        warn("\(configuration.path) cannot be used: \(reason)")
        return told
      case .failed(let reason):
        for name in left {
          logger.error(
            "Exception during processing of query named '\(name)', query results will be empty and may cause bind failures: \(reason)"
          )
          told.names.insert(name)
          told.results[name] = LdapResult.empty
        }
        told.isPartial = true
        if left.isEmpty { told.problem = "Ldap: \(reason)" }
        return told
      case .answer(let answer):
        told.names = NameSet(answer["names"]?.texts ?? [])
        told.isFailed = answer["failed"]?.bool ?? false
        for item in answer["results"]?.list ?? [] {
          guard let parts = item.list, parts.count == 2, let name = parts[0].text else { continue }
          told.results[name] = parts[1].contents.map { LdapResult(blob: $0) } ?? LdapResult.empty
        }
        left = answer["left"]?.texts ?? []
        guard let server = answer["down"]?.text else { return told }
        guard !left.isEmpty else {
          logger.error("LdapConnection: Server \(server) down.")
          return told
        }
        logger.error(
          "LdapConnection: Server \(server) down. Retry \(attempt + 1)/\(retries) in \(delay.threeDecimals)s.")
        guard (try? await core.loop.sleep(for: delay)) != nil else { return told }
      }
    }
    return told
  }
}
