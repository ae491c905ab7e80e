import Core
import Identity
import Templates
import XMLRPC

/// What a query gave.
struct LdapResult: Equatable {
  /// In marshal's form.
  let blob: [UInt8]
  /// Whether it failed: the next run asks again.
  let isFailed: Bool

  /// Python's None, which is what templates get of a query that failed.
  static let empty = LdapResult(blob: PythonMarshal.encode(.none), isFailed: true)

  init(blob: [UInt8], isFailed: Bool = false) {
    self.blob = blob
    // As in Bcfg2, where None is no result to keep.
    self.isFailed = isFailed || blob == PythonMarshal.encode(.none)
  }
}

/// What is known of the queries of one client.
final class LdapAnswers {
  /// Names of the queries that apply to the client, and the state of its metadata for which they do.
  var names: (list: NameSet, serial: UInt64)?
  /// By the query's name.
  var results: NameTable<LdapResult> = [:]
  /// Whether all that there is is not all that there could be: one of 1.3's queries failed.
  var isFailed = false

  /// About how much memory it takes.
  var sizeBytes: Int { results.reduce(256) { $0 + 160 + $1.key.utf8.count + $1.value.blob.count } }
}

/// `metadata.Ldap`: results by the names of queries, each fetched when it is asked for.
final class LdapData: TemplateQueryData {
  private unowned let plugin: LdapPlugin
  private let client: ClientName
  /// Where nothing is kept from one configuration to the next.
  let own: LdapAnswers?

  init(_ plugin: LdapPlugin, _ client: ClientName, keepsOwn: Bool) {
    self.plugin = plugin
    self.client = client
    own = keepsOwn ? LdapAnswers() : nil
  }

  var templateForm: TemplateValue { ["form": "queries"] }

  func knownAnswer(_ name: String?, _ metadata: ClientMetadata) -> TemplateValue? {
    guard let answers = own ?? plugin.answers(of: client), let names = answers.names,
      names.serial == plugin.core.templates.serial(of: metadata)
    else { return nil }
    guard let name else { return ["names": .texts(names.list.sorted())] }
    guard names.list.contains(name) else { return .record([]) }
    return answers.results[name].map(Self.form)
  }

  func answer(_ name: String?, _ metadata: ClientMetadata) async -> TemplateValue {
    if let known = knownAnswer(name, metadata) { return known }
    // Whether a query applies depends on the metadata; what it gave stands until it expires.
    let isKnown = name.map { result($0) != nil } ?? true
    var told = await plugin.ask(isKnown ? [] : NameSet([name ?? ""]), metadata, self)
    guard let name else {
      if let problem = told.problem { return ["problem": .text(problem)] }
      return ["names": .texts(told.names.sorted())]
    }
    if told.problem == nil, told.names.contains(name), told.results[name] == nil {
      if let known = result(name) { return Self.form(known) }
      told = await plugin.ask(NameSet([name]), metadata, self)
    }
    if let problem = told.problem { return ["problem": .text(problem)] }
    return told.names.contains(name) ? Self.form(told.results[name] ?? .empty) : .record([])
  }

  private func result(_ name: String) -> LdapResult? { (own ?? plugin.answers(of: client))?.results[name] }

  private static func form(_ result: LdapResult) -> TemplateValue { ["blob": .bytes(result.blob)] }
}
