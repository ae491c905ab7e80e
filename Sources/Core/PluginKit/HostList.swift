import XMLRPC

/// Hosts that one file, or the files of one entry, tell apart.
///
/// Where they are many, a client is asked which of them it is, if any. Asked for each of them whether it is that one, every
/// client's part would have as many questions as there are hosts.
package nonisolated final class HostList: Hashable, Sendable {
  /// Lists of fewer hosts are of no use: the questions whether a client is one of them are shared by all files.
  static let least = 9

  let names: NameSet

  /// nil for few hosts.
  init?(_ names: NameSet) {
    guard names.count >= Self.least else { return nil }
    self.names = names
  }

  /// The hosts of files.
  package convenience init?(_ specificities: some Sequence<Specificity>) {
    var names: NameSet = []
    for case .host(let name) in specificities { names.insert(name.text) }
    self.init(names)
  }

  package static func == (one: HostList, other: HostList) -> Bool { one === other }
  package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// The question which host of a list a client is: asked by all that the list is for.
package final class HostQuestion {
  let question: ClientQuestion

  /// nil for few hosts.
  package init?(_ specificities: some Sequence<Specificity>) {
    guard let hosts = HostList(specificities) else { return nil }
    question = .isAmong(hosts)
  }
}
