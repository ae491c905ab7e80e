import Core
import EventLoop
import Glibc
import Identity
import Logging
import Repository
import ServerSettings
import Templates
import XMLRPC

/// Ldap: data from LDAP servers for templates. `Ldap/config.py` has the queries, in Python; templates find what they give in
/// `metadata.Ldap`, fetched when it is asked for.
///
/// Queries run in processes of their own. Their results are kept as bytes, which only templates read; whatever was made with
/// one stands until the query gives another.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Ldap.py, of 1.4 and of 1.3.4.
final class LdapPlugin: Plugin, Connector, ClientRunHooks, TemplateQueries {
  override class var name: String { "Ldap" }
  override class var isExperimental: Bool { true }
  override class var options: any OptionGroup { ldap }

  static let ldap = LdapOptions.standard
  /// Bytes of results in memory, at most. Others are fetched again.
  private static let limitBytes = 64 << 20

  let configuration: LdapConfiguration
  /// What is known of clients.
  var table = BoundedCache<ClientName, LdapAnswers>()
  var underway: [Request: Task<Told, Never>] = [:]
  /// How often answers were expired.
  private(set) var expirations = 0
  var querySerial: UInt64 = 0
  private var lastWarning: String?

  var stages: Set<ClientRunStage> { [.start] }

  required init(_ context: PluginContext) {
    configuration = LdapConfiguration(
      path: context.folder + "/config.py", monitor: context.core.fileMonitor, logger: context.logger)
    super.init(context)
    table.limitBytes = Self.limitBytes
  }

  override func load() {
    settingsChanged()
    configuration.onChange = { [unowned self] in
      lastWarning = nil
      expireAll()
      core.expireMetadataCache()
    }
    configuration.watch()
  }

  override func settingsChanged() {
    let settings = core.settings
    let processors = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    let total = settings[Self.ldap.processes]
    core.templates.querySettings = QuerySettings(
      processes: core.isChild ? max(1, total / max(1, settings.children ?? processors)) : total,
      timeout: settings[Self.ldap.timeout], isLegacy: settings.compatibility == .v1_3)
    // What was fetched is in the form of the Python that did.
    expireAll()
  }

  func answers(of client: ClientName) -> LdapAnswers? { table[client] }

  /// Whether nothing is kept from one configuration to the next: `[ldap] cache = false`.
  private var keepsNothing: Bool { core.settings[Self.ldap.cache] == false }

  func additionalData(_ metadata: ClientMetadata) -> (any ConnectorData)? {
    LdapData(self, metadata.facts.hostname, keepsOwn: keepsNothing)
  }

  /// Logs once what is wrong with config.py.
  func warn(_ problem: String) {
    guard problem != lastWarning else { return }
    lastWarning = problem
    logger.error("\(problem)")
  }

  // MARK: Runs of clients

  /// Fetches again what the client's configuration was made with: where all of it is the same, the configuration stays. With
  /// `cache = true` only what failed is fetched.
  func startClientRun(_ metadata: ClientMetadata) async {
    guard let data = metadata.facts.data[name] as? LdapData,
      let answers = data.own ?? self.answers(of: metadata.facts.hostname)
    else { return }
    let keepsAll = core.settings[Self.ldap.cache] == true
    let wanted = NameSet(answers.results.filter { !keepsAll || $0.value.isFailed }.map(\.key))
    guard !keepsAll || !wanted.isEmpty || answers.isFailed, answers.names != nil else { return }
    let told = await ask(wanted, metadata, data)
    guard told.problem != nil else { return }
    querySerial += 1
    table.remove(metadata.facts.hostname)
    core.clientChanged(metadata.facts.hostname)
  }

  // MARK: Expiry

  override var rmi: [String: RemoteMethod] {
    var methods = super.rmi
    methods["expire_cache"] = RemoteMethod { [unowned self] arguments in
      let (query, client) = try Self.names(arguments)
      var count = Int64(expire(query: query, client: client))
      for answer in await core.callChildren(self, "expire_results", arguments) { count += answer.int ?? 0 }
      return .int(count)
    }
    methods["expire_results"] = RemoteMethod(isListed: false) { [unowned self] arguments in
      let (query, client) = try Self.names(arguments)
      return .int(Int64(expire(query: query, client: client)))
    }
    return methods
  }

  override var childRMI: [String: String] {
    super.childRMI.merging(["expire_results": "expire_results"]) { $1 }
  }

  private static func names(_ arguments: [Value]) throws -> (query: String?, client: String?) {
    guard arguments.count <= 2 else {
      throw ParameterError("expire_cache() takes at most 3 arguments (\(arguments.count + 1) given)")
    }
    // What is empty selects nothing, as in Python.
    func name(_ place: Int) throws -> String? {
      guard place < arguments.count, arguments[place].isTruthy else { return nil }
      return try arguments[place].pythonName()
    }
    return (try name(0), try name(1))
  }

  /// Forgets results: of one query, of one client, or all. Returns how many.
  func expire(query: String?, client: String?) -> Int {
    expirations += 1
    querySerial += 1
    var count = 0
    var clients = table.keys
    if let client {
      clients = (try? ClientName(recorded: client)).map { [core.metadata.canonicalName($0)] } ?? []
    }
    for client in clients {
      guard let answers = table[client] else { continue }
      let before = answers.results.count
      if let query {
        guard answers.results.removeValue(forKey: query) != nil else { continue }
      } else {
        answers.results.removeAll()
        table.remove(client)
      }
      count += before - answers.results.count
      core.clientChanged(client)
    }
    return count
  }

  private func expireAll() { _ = expire(query: nil, client: nil) }
}
