import Databases

/// Owner, group and mode.
struct Permissions: Hashable, Sendable {
  var owner: String
  var group: String
  var mode: String
}

/// A row of an entry's table, before it has an id.
struct EntryRow: Sendable {
  var kind: EntryKind
  /// Values of `EntryColumns.of(kind)`, without those that refer to permissions.
  var values: [SQLValue]
  /// A path's permissions.
  var target: Permissions?
  var current: Permissions?
  /// Where a link goes to, and where it should.
  var link: Link?

  struct Link: Hashable, Sendable {
    var target: String
    var current: String
  }

  let key: EntryKey

  init(
    _ kind: EntryKind, _ values: [SQLValue], target: Permissions? = nil, current: Permissions? = nil, link: Link? = nil
  ) {
    self.kind = kind
    self.values = values
    self.target = target
    self.current = current
    self.link = link
    key = EntryKey(kind, values, target, current, link)
  }
}

/// What identifies a row in the cache: its `hash_key`, and a second hash with a secret of this process, so that who knows how to
/// make two entries with the same `hash_key` does not get another one's row.
///
/// The `hash_key` of Bcfg2's rows depends on the versions of Python and Django: those rows are found by their names.
struct EntryKey: Hashable, Sendable {
  var kind: EntryKind
  var hash: Int64
  var secret: Int

  init(
    _ kind: EntryKind, _ values: [SQLValue], _ target: Permissions?, _ current: Permissions?, _ link: EntryRow.Link?
  ) {
    self.kind = kind
    var first = TextHash()
    var second = Hasher()
    first.add(kind.rawValue)
    for value in values {
      switch value {
      case .null: first.add(byte: 0xFE)
      case .text(let text): first.add(text)
      default: first.add(value.asText ?? "")
      }
      second.combine(value)
    }
    for permissions in [target, current] {
      guard let permissions else { continue }
      for text in [permissions.owner, permissions.group, permissions.mode] { first.add(text) }
      second.combine(permissions)
    }
    if let link {
      first.add(link.target)
      first.add(link.current)
      second.combine(link)
    }
    hash = Int64(bitPattern: first.value)
    secret = second.finalize()
  }
}

/// Columns of entries' tables, as rows are compared and written.
enum EntryColumns {
  /// All but the id, the hash and the references to permissions.
  static func of(_ kind: EntryKind) -> [SQLColumn] { columns[kind] ?? [] }

  private static let columns: [EntryKind: [SQLColumn]] = Dictionary(
    uniqueKeysWithValues: EntryKind.allCases.map { kind in
      let all = ReportTables[kind.table]?.columns ?? []
      return (kind, all.filter { $0.kind != .id && $0.name != "hash_key" && $0.reference == nil })
    })
}
