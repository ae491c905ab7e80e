/// What an entry should have and has, as expressions over its row `e`, and over those that `joins` adds.
struct EntryExpressions {
  var values: [(name: EntryValue, target: String, current: String)] = []
  /// What is wrong with an entry, in two words, is made from these five: target and current value, a second pair, and the kind of
  /// details.
  var short = ["''", "''", "''", "''", "0"]
  /// Joins that the expressions need.
  var joins = ""

  static func of(_ kind: EntryKind) -> EntryExpressions { byKind[kind] ?? EntryExpressions() }

  private static let byKind = Dictionary(uniqueKeysWithValues: EntryKind.allCases.map { ($0, make($0)) })

  private static func make(_ kind: EntryKind) -> EntryExpressions {
    var made = EntryExpressions()
    switch kind {
    case .failure, .sePermissive: break
    case .action:
      made.values = [(EntryValue("status", "Status"), "e.\"status\"", "''")]
      made.addFound("output", "Exit status")
    case .package:
      made.add("version", "Package version", "target_version", "current_version")
      made.compareShort("target_version", "e.\"current_version\"")
    case .path: made.addPath()
    case .service:
      made.add("status", "Status", "target_status", "current_status")
      made.compareShort("target_status", "e.\"current_status\"")
    case .seBoolean: made.addFound("value", "Value")
    case .sePort, .seInterface: made.addContext()
    case .seFcontext:
      made.addContext()
      made.addFound("filetype", "File type")
    case .seNode:
      made.addContext()
      made.addFound("proto", "Protocol")
    case .seLogin: made.add("selinuxuser", "SELinux user")
    case .seUser:
      made.add("roles", "Roles")
      made.add("prefix", "Prefix")
    case .seModule: made.add("disabled", "Disabled")
    case .posixUser:
      made.add("uid", "User number")
      made.add("group", "Group")
      made.add("gecos", "Full name")
      made.add("home", "Home")
      made.add("shell", "Shell")
    case .posixGroup: made.add("gid", "Group number")
    }
    return made
  }

  /// - Parameters:
  ///   - target: a column; nil: that of the key.
  ///   - current: a column; nil: that of the key, with `current_`.
  private mutating func add(_ key: String, _ title: String, _ target: String? = nil, _ current: String? = nil) {
    values.append((EntryValue(key, title), "e.\"\(target ?? key)\"", "e.\"\(current ?? "current_\(key)")\""))
  }

  /// A value of which only the found one is known.
  private mutating func addFound(_ column: String, _ title: String) {
    values.append((EntryValue(column, title), "''", "e.\"\(column)\""))
  }

  private mutating func compareShort(_ target: String, _ current: String) {
    short[0] = "e.\"\(target)\""
    short[1] = current
  }

  private mutating func addContext() {
    add("selinuxtype", "SELinux type")
    compareShort("selinuxtype", "COALESCE(e.\"current_selinuxtype\", '')")
  }

  private mutating func addPath() {
    joins = """
       JOIN "Reporting_fileperms" tp ON tp."id" = e."target_perms_id" JOIN "Reporting_fileperms" cp ON cp."id" = e."current_perms_id" \
      LEFT JOIN "Reporting_linkentry" le ON le."pathentry_ptr_id" = e."id"
      """
    for (key, title) in [("owner", "Owner"), ("group", "Group"), ("mode", "Permissions")] {
      values.append((EntryValue(key, title), "tp.\"\(key)\"", "cp.\"\(key)\""))
    }
    values.append((EntryValue("link", "Target"), "le.\"target_path\"", "le.\"current_path\""))
    // Without current permissions there is nothing to compare.
    short = [
      "tp.\"mode\"",
      "CASE WHEN cp.\"owner\" = '' AND cp.\"group\" = '' AND cp.\"mode\" = '' THEN tp.\"mode\" ELSE cp.\"mode\" END",
      "COALESCE(le.\"target_path\", '')", "COALESCE(le.\"current_path\", '')", "e.\"detail_type\"",
    ]
  }
}

/// A value that an entry should have and has: its key in the configuration, and its title.
public struct EntryValue: Sendable, Hashable {
  public var key: String
  public var title: String

  init(_ key: String, _ title: String) {
    self.key = key
    self.title = title
  }
}
