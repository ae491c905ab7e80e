import Core
import Databases
import Formats
import Identity
import LoopDatabases
import XMLRPC

/// What the reporting database knows of a client's last run, for `bcfg2-admin pull`.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Reporting/Storage/DjangoORM.py, GetExtra and GetCurrentEntry.
struct CurrentEntries {
  /// An entry of a client: permissions as it has them, and its contents where they are known.
  struct Entry: Equatable {
    enum Contents: Equatable {
      case none
      case text(String)
      case binary([UInt8])
    }

    var owner: String
    var group: String
    var mode: String
    var contents: Contents
  }

  /// Tags of entries, and what their tables are named by, in the order of Bcfg2's lists.
  private static let kinds: [(tag: String, links: String, entry: String)] = [
    ("Action", "actions", "action"), ("Package", "packages", "package"), ("Path", "paths", "path"),
    ("Service", "services", "service"), ("SEBoolean", "sebooleans", "seboolean"), ("SEPort", "seports", "seport"),
    ("SEFcontext", "sefcontexts", "sefcontext"), ("SENode", "senodes", "senode"), ("SELogin", "selogins", "selogin"),
    ("SEUser", "seusers", "seuser"), ("SEInterface", "seinterfaces", "seinterface"),
    ("SEPermissive", "sepermissives", "sepermissive"), ("SEModule", "semodules", "semodule"),
    ("POSIXUser", "posixusers", "posixuser"), ("POSIXGroup", "posixgroups", "posixgroup"),
  ]

  // Numbers of the columns.
  private static let bad = 1
  private static let extra = 3
  private static let diff = 1
  private static let binary = 2
  private static let sensitive = 3
  private static let tooLarge = 4
  private static let pruned = 6

  let database: any LoopDatabase

  /// Tag and name of the entries that the client has and its configuration lacks; none of a client that is not known.
  func extra(of client: String) async throws(DatabaseError) -> [(tag: String, name: String)] {
    let statements = Self.kinds.map { kind in
      LoopStatement(
        """
        SELECT e."name" FROM "Reporting_client" c \
        JOIN "Reporting_interaction_\(kind.links)" l ON l."interaction_id" = c."current_interaction_id" \
        JOIN "Reporting_\(kind.entry)entry" e ON e."id" = l."\(kind.entry)entry_id" \
        WHERE c."name" = ? AND e."state" = ? ORDER BY l."id"
        """, [.text(client), SQLValue(Self.extra)])
    }
    let results = try await database.run(statements)
    return zip(Self.kinds, results).flatMap { kind, result in
      result.rows.compactMap { row in row.first?.asText.map { (kind.tag, $0) } }
    }
  }

  /// The client's own version of a file that is bad.
  ///
  /// - Throws: `PluginExecutionError` if there is none, or it is not known whole; `DatabaseError`.
  func entry(of client: String, tag: String, name: String) async throws -> Entry {
    let known = try await database.run(#"SELECT COUNT(*) FROM "Reporting_client" WHERE "name" = ?"#, [.text(client)])
    guard let count = known.rows.first?.first?.asInt, count > 0 else {
      throw PluginExecutionError("Unknown client: \(client)")
    }
    guard tag == "Path" else { throw try await otherTag(client, tag, name) }
    let found = try await database.run(
      """
      SELECT f."owner", f."group", f."mode", t."owner", t."group", t."mode", e."detail_type", e."details" \
      FROM "Reporting_client" c \
      JOIN "Reporting_interaction_paths" l ON l."interaction_id" = c."current_interaction_id" \
      JOIN "Reporting_pathentry" e ON e."id" = l."pathentry_id" \
      LEFT JOIN "Reporting_fileperms" f ON f."id" = e."current_perms_id" \
      LEFT JOIN "Reporting_fileperms" t ON t."id" = e."target_perms_id" \
      WHERE c."name" = ? AND e."name" = ? AND e."state" = ? ORDER BY l."id"
      """, [.text(client), .text(name), SQLValue(Self.bad)])
    guard let row = found.rows.first else { throw PluginExecutionError("\(client) has no bad entry \(tag):\(name)") }
    func permission(_ index: Int) -> String {
      let current = row[index].asText ?? ""
      return current.isEmpty ? row[index + 3].asText ?? "" : current
    }
    return Entry(
      owner: permission(0), group: permission(1), mode: permission(2),
      contents: try Self.contents(row[6].asInt ?? 0, row[7].asText ?? ""))
  }

  /// Why there is no version of an entry that is no file, in Bcfg2's words.
  private func otherTag(_ client: String, _ tag: String, _ name: String) async throws -> any Error {
    if tag == "Failure" {
      return ParameterError(
        "Cannot resolve keyword 'state' into field. Choices are: entry_type, hash_key, id, interaction, message, name")
    }
    guard let kind = Self.kinds.first(where: { $0.tag == tag }) else {
      return PluginExecutionError("Unhandled type \(tag)")
    }
    let found = try await database.run(
      """
      SELECT COUNT(*) FROM "Reporting_client" c \
      JOIN "Reporting_interaction_\(kind.links)" l ON l."interaction_id" = c."current_interaction_id" \
      JOIN "Reporting_\(kind.entry)entry" e ON e."id" = l."\(kind.entry)entry_id" \
      WHERE c."name" = ? AND e."name" = ? AND e."state" = ?
      """, [.text(client), .text(name), SQLValue(Self.bad)])
    guard let count = found.rows.first?.first?.asInt, count > 0 else {
      return PluginExecutionError("\(client) has no bad entry \(tag):\(name)")
    }
    return ParameterError("'\(tag)Entry' object has no attribute 'current_perms'")
  }

  static func contents(_ type: Int, _ details: String) throws(PluginExecutionError) -> Entry.Contents {
    switch type {
    case sensitive: throw PluginExecutionError("the entry is sensitive: its contents are not kept")
    case tooLarge:
      throw PluginExecutionError("the file is larger than [reporting] file_limit: its contents are not kept")
    case pruned: return .text(details)
    case binary:
      guard let bytes = Base64.decode(Array(details.utf8)) else {
        throw PluginExecutionError("the contents are not in base64")
      }
      return .binary(bytes)
    case diff: return .text(try restored(details))
    default: return .none
    }
  }

  /// The client's side of a difference as `difflib.ndiff` writes it, which has every line.
  private static func restored(_ details: String) throws(PluginExecutionError) -> String {
    // Lines end in LF alone: to Swift a CR before it is of the same character.
    let lines = details.utf8.split(separator: 0x0A, omittingEmptySubsequences: false)
    guard !lines.contains(where: { $0.starts(with: "@@ ".utf8) }) else {
      throw PluginExecutionError(
        "the client sends unified differences, as those of Bcfg2 1.4 do: the whole file cannot be restored from one")
    }
    let own = lines.filter { $0.starts(with: "  ".utf8) || $0.starts(with: "- ".utf8) }.map { $0.dropFirst(2) }
    return String(decoding: Array(own.joined(separator: [0x0A])), as: UTF8.self)
  }
}
